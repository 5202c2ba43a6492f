import { qualify, quoteLiteral } from '../db/quote.ts';
import type { Session } from '../db/session.ts';
import { AppError } from '../errors.ts';

/** `switchback.step` in the target: what a migration of several segments was about to do, and what it did. */
export const journalTable = 'switchback.step';

/** Before a segment: what it is, and what existed then. After it: `finishedAt`. */
export interface JournalEntry {
  readonly firstStatement: number;
  readonly lastStatement: number;
  /** Whether it ran outside a transaction, so that a missing outcome says nothing. */
  readonly runsAlone: boolean;
  /** Oids of the indexes that existed on the relations concerned. */
  readonly indexes: readonly number[];
  readonly finishedAt: Date | null;
}

/** Creates the journal where it is not there yet. It gives PUBLIC nothing. */
export async function ensureJournal(session: Session): Promise<void> {
  const { rows } = await session.query<{ present: boolean }>(
    `select exists (select from pg_catalog.pg_attribute
                     where attrelid = pg_catalog.to_regclass($1) and attname = 'rollback' and not attisdropped) as present`,
    [journalTable],
  );
  if (rows[0]?.present === true) return;
  try {
    await session.query(createJournalSql);
  } catch (error) {
    await session.query('rollback');
    if (!(error instanceof AppError) || error.code === 'DATABASE_UNREACHABLE') throw error;
    throw new AppError(
      'PERMISSION_DENIED',
      `The journal, which a migration of several transactions needs, could not be made: ${error.message} ` +
        'Nothing was done. Let somebody who may create a schema run the SQL for it in docs/operations.md, or GRANT CREATE ON DATABASE to the role.',
      error.details,
      { cause: error },
    );
  }
}

/** Also in docs/operations.md, for whoever has to run it by hand. */
export const createJournalSql = `
    begin;
    create schema if not exists switchback;
    revoke all on schema switchback from public;
    create table if not exists ${journalTable} (
      migration_id varchar(36) not null,
      first_statement integer not null,
      last_statement integer not null,
      runs_alone boolean not null,
      indexes bigint[] not null default '{}',
      job_id text not null,
      started_at timestamptz not null default pg_catalog.clock_timestamp(),
      finished_at timestamptz,
      rollback jsonb,
      primary key (migration_id, first_statement)
    );
    alter table ${journalTable} add column if not exists rollback jsonb;
    revoke all on ${journalTable} from public;
    commit`;

export interface Intent extends Omit<JournalEntry, 'finishedAt'> {
  readonly jobId: string;
}

/** Of a rollback: the schema of its history, and the checksum of its text. */
export interface RollbackIntent {
  readonly schema: string;
  readonly text: string;
}

/**
 * Before a segment. One that was split, or is tried again by a successor, takes the place of the former. A rollback's
 * first one also keeps when the migration had been applied, since the history's row is to be unfinished.
 */
export const intentSql = (
  migrationId: string,
  intent: Intent,
  rollback: RollbackIntent | null = null,
): string =>
  `insert into ${journalTable} (migration_id, first_statement, last_statement, runs_alone, indexes, job_id, rollback)
   values (${quoteLiteral(migrationId)}, ${intent.firstStatement}, ${intent.lastStatement}, ${intent.runsAlone},
           '{${intent.indexes.join()}}', ${quoteLiteral(intent.jobId)}, ${rollbackSql(migrationId, rollback)})
   on conflict (migration_id, first_statement)
   do update set last_statement = excluded.last_statement, runs_alone = excluded.runs_alone, indexes = excluded.indexes,
                 job_id = excluded.job_id, started_at = pg_catalog.clock_timestamp(), finished_at = null`;

const rollbackSql = (migrationId: string, rollback: RollbackIntent | null): string =>
  rollback === null
    ? 'null'
    : `pg_catalog.jsonb_build_object('text', ${quoteLiteral(rollback.text)}, 'appliedAt',
         (select finished_at from ${qualify(rollback.schema, '_prisma_migrations')} where id = ${quoteLiteral(migrationId)}))`;

/** The outcome, as the last statement of the segment's transaction. */
export const outcomeSql = (migrationId: string, firstStatement: number): string =>
  `update ${journalTable} set finished_at = pg_catalog.clock_timestamp()
    where migration_id = ${quoteLiteral(migrationId)} and first_statement = ${firstStatement}`;

export const forgetSql = (migrationId: string): string =>
  `delete from ${journalTable} where migration_id = ${quoteLiteral(migrationId)}`;

export async function readJournal(session: Session, migrationId: string): Promise<JournalEntry[]> {
  const { rows } = await session.query<{
    first: number;
    last: number;
    runs_alone: boolean;
    indexes: string[];
    finished_at: Date | null;
  }>(
    `select first_statement as first, last_statement as last, runs_alone, indexes, finished_at
       from ${journalTable} where migration_id = $1 order by first_statement`,
    [migrationId],
  );
  return rows.map((row) => ({
    firstStatement: row.first,
    lastStatement: row.last,
    runsAlone: row.runs_alone,
    indexes: row.indexes.map(Number),
    finishedAt: row.finished_at,
  }));
}

/** Checksum of the text by which a migration is being taken back; null where none is. */
export async function rollbackUnderWay(session: Session, migrationId: string): Promise<string | null> {
  const { rows } = await session.query<{ text: string | null }>(
    `select max(rollback->>'text') as text from ${journalTable} where migration_id = $1`,
    [migrationId],
  );
  return rows[0]?.text ?? null;
}
