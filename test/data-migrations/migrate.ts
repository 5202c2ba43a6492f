/** Runs data migrations in tests. */
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import type { DataMigrationEvent } from '../../src/data-migrations/events.ts';
import {
  type DataMigrationOutcome,
  type DataMigrationRun,
  runDataMigration,
} from '../../src/data-migrations/run.ts';
import { dataMigrationSpec } from '../../src/data-migrations/spec.ts';
import type { Throttle } from '../../src/data-migrations/throttle.ts';
import { parseTarget } from '../../src/db/target.ts';

/** A database that always has strength to spare. */
export const unthrottled: Throttle = {
  admit: async () => ({ goOn: true, reason: null, factor: 1, againInMs: 0 }),
  close: async () => undefined,
};

export interface MigrateOptions {
  readonly id?: string;
  /** URL of the database that is written. */
  readonly to?: string;
  readonly signal?: AbortSignal;
  readonly throttle?: Throttle;
  readonly report?: (event: DataMigrationEvent) => void;
  readonly validate?: DataMigrationRun['validate'];
  /** The folder with modules. */
  readonly transforms?: string;
}

/** @param body of the spec; `name` and a pace for tests are given */
export const migrate = (
  url: string,
  body: object,
  options: MigrateOptions = {},
): Promise<DataMigrationOutcome> => runDataMigration(runOf(url, body, options));

export const runOf = (url: string, body: object, options: MigrateOptions = {}): DataMigrationRun => ({
  id: options.id ?? randomUUID(),
  spec: dataMigrationSpec.parse({ name: 'test', ...body }),
  source: parseTarget(url),
  written: options.to === undefined ? null : parseTarget(options.to),
  transforms: options.transforms,
  throttle: () => options.throttle ?? unthrottled,
  signal: options.signal ?? new AbortController().signal,
  report: options.report ?? (() => undefined),
  ...(options.validate === undefined ? {} : { validate: options.validate }),
});

/** Works with a client of its own. */
export async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  // A server that crashes is told by the query that is under way, or by the next one.
  client.on('error', () => undefined);
  await client.connect();
  // The role's name is that of the schema in which a data migration keeps its place.
  await client.query('set search_path = public');
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** Runs SQL; the rows of its last statement. */
export const sql = (url: string, text: string): Promise<Record<string, unknown>[]> =>
  withClient(url, async (client) => {
    const results: pg.QueryResult | pg.QueryResult[] = await client.query(text);
    const last = Array.isArray(results) ? results.at(-1) : results;
    return last?.rows ?? [];
  });

/** The one value of the one row. */
export async function value(url: string, text: string): Promise<unknown> {
  return Object.values((await sql(url, text))[0] ?? {})[0];
}

/** Lets so many batches through as it is told. */
export class Gate implements Throttle {
  #batches: number;
  readonly close = async (): Promise<void> => undefined;

  constructor(batches: number) {
    this.#batches = batches;
  }

  open(batches: number): void {
    this.#batches = batches;
  }

  async admit(): ReturnType<Throttle['admit']> {
    if (this.#batches <= 0) return { goOn: false, reason: 'the test', factor: 0, againInMs: 10 };
    this.#batches -= 1;
    return { goOn: true, reason: null, factor: 1, againInMs: 0 };
  }
}

/** What was thrown. */
export const thrownBy = async (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => 'nothing was thrown',
    (error: unknown) => error,
  );
