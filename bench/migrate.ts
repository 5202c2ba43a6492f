import { randomUUID } from 'node:crypto';
import type { DataMigrationEvent, DataMigrationProgress } from '../src/data-migrations/events.ts';
import { type DataMigrationRun, runDataMigration } from '../src/data-migrations/run.ts';
import { dataMigrationSpec } from '../src/data-migrations/spec.ts';
import { parseTarget } from '../src/db/target.ts';

/** What runs are asked for beyond their spec. */
interface Options {
  readonly id?: string;
  readonly throttle?: DataMigrationRun['throttle'];
  readonly signal?: AbortSignal;
  readonly report?: (event: DataMigrationEvent) => void;
}

/** Runs a data migration within one database, by default as fast as it goes. @param body of the spec, without a name */
export async function migrate(
  url: string,
  body: object,
  {
    id = randomUUID(),
    throttle = () => unthrottled,
    signal = new AbortController().signal,
    report = () => undefined,
  }: Options = {},
): Promise<DataMigrationProgress> {
  const { progress } = await runDataMigration({
    id,
    spec: dataMigrationSpec.parse({ name: 'bench', ...body }),
    source: parseTarget(url),
    written: null,
    throttle,
    signal,
    report,
  });
  return progress;
}

const unthrottled = {
  admit: async () => ({ goOn: true, reason: null, factor: 1, againInMs: 0 }),
  close: async () => undefined,
};
