/** Tables that are exchanged in tests, and what becomes of them. */
import { randomUUID } from 'node:crypto';
import { type CheckRequest, check, type Judgement } from '../../../src/data-migrations/check.ts';
import { openPlace } from '../../../src/data-migrations/place.ts';
import type { DataMigrationOutcome } from '../../../src/data-migrations/run.ts';
import type { SwapRequest } from '../../../src/data-migrations/shadow/swap.ts';
import { dataMigrationSpec } from '../../../src/data-migrations/spec.ts';
import type { Session } from '../../../src/db/session.ts';
import { parseTarget } from '../../../src/db/target.ts';
import { AppError } from '../../../src/errors.ts';
import { readFingerprint } from '../../../src/schema/fingerprint.ts';
import { type MigrateOptions, migrate } from '../migrate.ts';

/** Exchanges a table, with its validation, as its job does. */
export function exchange(
  url: string,
  body: object,
  options: MigrateOptions = {},
): Promise<DataMigrationOutcome> {
  const id = options.id ?? randomUUID();
  const spec = dataMigrationSpec.parse({ name: 'test', kind: 'shadow', ...body });
  const request: CheckRequest = {
    ...{ id, spec, source: parseTarget(url), written: null, names: { source: 'one', written: 'one' } },
    ...{ values: 'shown', signal: options.signal ?? new AbortController().signal },
    phase: (_, work) => work(() => undefined),
  };
  return migrate(
    url,
    { kind: 'shadow', ...body },
    {
      ...options,
      id,
      async validate(work) {
        const judgement = await check(request, work);
        if (!judgement.passed) throw new NotPassed(judgement);
      },
    },
  );
}

export class NotPassed extends AppError {
  constructor(judgement: Judgement) {
    super('DATA_DIFFERS', `${judgement.says}: ${JSON.stringify(judgement.comparison?.differences.listed)}`);
  }
}

/** Works with a session such as data migrations have. */
export async function atPlace<T>(
  url: string,
  work: (session: Session) => Promise<T>,
  lockTimeoutMs = 2_000,
): Promise<T> {
  const session = await openPlace(parseTarget(url), randomUUID(), lockTimeoutMs);
  try {
    return await work(session);
  } finally {
    await session.close();
  }
}

export const swapOf = (id: string): SwapRequest => ({
  ...{ id, retentionDays: 7 },
  ...{ signal: new AbortController().signal, report: () => undefined },
});

/** All facts of the schema, as an object for comparisons. */
export const factsOf = (url: string): Promise<Record<string, string>> =>
  atPlace(url, async (session) => Object.fromEntries((await readFingerprint(session)).facts));
