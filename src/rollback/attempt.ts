/** One migration: forth, back, forth again. */
import { sqlstateOf } from '../db/errors.ts';
import type { Session } from '../db/session.ts';
import { AppError } from '../errors.ts';
import { readContent, type TableName } from '../schema/content.ts';
import { readStateIn, type SchemaState } from '../schema/difference.ts';
import { compareFingerprints, type Fingerprint, readFingerprint } from '../schema/fingerprint.ts';
import { type Contents, compareContents, compareCounts, rowsIn } from './contents.ts';
import { generateRollback } from './generate.ts';
import { readIdentities } from './identities.ts';
import type { MigrationFiles, ProvenMigration, ProvenOn } from './prove.ts';
import { writtenRollback } from './sources.ts';
import type { Trial } from './trial.ts';

export interface AttemptInput {
  readonly trial: Trial;
  readonly migration: MigrationFiles;
  /** The schema that it finds. */
  readonly before: SchemaState;
  /** Whose rows are compared. */
  readonly tables: readonly TableName[];
  readonly on: ProvenOn;
  readonly leftOut: readonly string[];
}

export interface Attempted {
  readonly proven: ProvenMigration;
  /** The schema that it leaves; null where it does not run, or its way back stopped on its way. */
  readonly after: SchemaState | null;
}

/**
 * What a migration that looks for rows fails with where they are not: a reference to one, a value taken from one, RAISE and
 * ASSERT, SELECT INTO STRICT, a share of none.
 */
const forRows: ReadonlySet<string> = new Set(['23502', '23503', 'P0001', 'P0002', 'P0004', '22012']);

/** Leaves the migration applied, unless the outcome is `failed` or `wrong`. */
export async function attempt(input: AttemptInput): Promise<Attempted> {
  const { trial, tables, migration, before, on, leftOut } = input;
  const { session } = trial;
  const identitiesBefore = await readIdentities(session);
  const rows = await contents(session, tables);
  const compared = { tables: rows.size, rows: rowsIn(rows), leftOut };
  const base = {
    ...{ name: migration.name, source: 'generated' as const, sql: '', on, compared },
    wantsRows: false,
  };
  const forth = await tried(() => trial.forth([migration], true));
  if ('failed' in forth)
    return {
      proven: {
        ...{ ...base, outcome: 'failed', reasons: [forth.failed] },
        wantsRows: on !== 'full' && forRows.has(forth.sqlstate ?? ''),
      },
      after: null,
    };
  const after = await readStateIn(session);
  const { source, sql, refusals } =
    writtenRollback(migration.files) ??
    (await generateRollback({
      session,
      before,
      after,
      identitiesBefore,
      identitiesAfter: await readIdentities(session),
    }));
  const proven = { ...base, source, sql };
  if (refusals.length > 0) return { proven: { ...proven, outcome: 'refused', reasons: refusals }, after };
  const rowsAfter = await contents(session, tables);
  const back = await tried(() => trial.back(migration.name, sql));
  if ('failed' in back && back.code === 'VAULT_CANNOT_KEEP')
    return { proven: { ...proven, outcome: 'refused', reasons: [back.failed] }, after: null };
  if ('failed' in back) return wrong(proven, [`It fails: ${back.failed}`]);
  const changed = compareContents(rows, await contents(session, tables));
  const notKept = forth.value.flatMap(({ remarks }) =>
    remarks.filter((remark) => / not kept: /.test(remark)),
  );
  const left = [...(await differences(session, before.fingerprint)), ...(notKept.length > 0 ? [] : changed)];
  if (left.length > 0) return wrong(proven, left);
  const again = await tried(() => trial.forth([migration], false));
  if ('failed' in again) return wrong(proven, [`The migration fails after it: ${again.failed}`]);
  const other = [
    ...(await differences(session, after.fingerprint)),
    ...(notKept.length > 0 ? [] : compareCounts(rowsAfter, await contents(session, tables))),
  ];
  if (other.length > 0) return wrong(proven, other);
  return {
    proven: {
      ...proven,
      outcome: 'proven',
      reasons: [],
      on: changed.length > 0 ? 'schema' : on,
      compared: { ...compared, leftOut: [...leftOut, ...notKept] },
    },
    after,
  };
}

const wrong = (
  proven: Omit<ProvenMigration, 'outcome' | 'reasons'>,
  reasons: readonly string[],
): Attempted => ({
  proven: { ...proven, outcome: 'wrong', reasons },
  after: null,
});

const contents = async (session: Session, tables: readonly TableName[]): Promise<Contents> =>
  tables.length === 0 ? new Map() : readContent(session, tables);

interface Failed {
  readonly failed: string;
  readonly code: string;
  readonly sqlstate: string | undefined;
}

async function tried<T>(work: () => Promise<T>): Promise<{ readonly value: T } | Failed> {
  try {
    return { value: await work() };
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return { failed: error.message, code: error.code, sqlstate: sqlstateOf(error) };
  }
}

/** What differs from what is wanted, in words. */
async function differences(session: Session, wanted: Fingerprint): Promise<string[]> {
  return compareFingerprints(wanted, await readFingerprint(session)).map(({ words }) => words);
}
