import { instantOf, instantSql } from '../db/instant.ts';
import { qualify, quoteIdentifier, quoteLiteral } from '../db/quote.ts';
import type { Session } from '../db/session.ts';
import { journalTable } from './journal.ts';

/** One attempt at a migration, as Prisma keeps it in `_prisma_migrations`. */
export interface HistoryRow {
  readonly id: string;
  readonly name: string;
  readonly checksum: string;
  readonly startedAt: Date;
  readonly finishedAt: Date | null;
  readonly rolledBackAt: Date | null;
  readonly logs: string | null;
  /** Whether Switchback's journal knows this attempt. */
  readonly journalled: boolean;
  /** Whether what it applied is being taken back: the row is unfinished until that has ended. */
  readonly takingBack: boolean;
}

type Instants = 'startedAt' | 'finishedAt' | 'rolledBackAt';
type HistoryTexts = Omit<HistoryRow, Instants> & {
  startedAt: string;
  finishedAt: string | null;
  rolledBackAt: string | null;
};

export interface History {
  /** Whether `_prisma_migrations` exists. */
  readonly exists: boolean;
  readonly rows: readonly HistoryRow[];
  readonly schemaExists: boolean;
  /** Whether the schema holds relations other than the history itself and extensions' members. */
  readonly schemaInUse: boolean;
}

export const historyTable = (schema: string): string => qualify(schema, '_prisma_migrations');

/** Reads a database's history, oldest attempt first. */
export async function readHistory(session: Session, schema: string): Promise<History> {
  const [facts] = (
    await session.query<{ exists: boolean; journal: boolean; schema: boolean; in_use: boolean }>(
      `select pg_catalog.to_regclass($1) is not null as exists,
              exists (select from pg_catalog.pg_namespace where nspname = $3) as schema,
              pg_catalog.to_regclass($2) is not null as journal,
              exists (select from pg_catalog.pg_class c
                       where c.relnamespace = (select oid from pg_catalog.pg_namespace where nspname = $3)
                         and c.relkind in ('r', 'p', 'v', 'm', 'f') and c.relname <> '_prisma_migrations'
                         and not exists (select from pg_catalog.pg_depend d where d.objid = c.oid and d.deptype = 'e')) as in_use`,
      [historyTable(schema), journalTable, schema],
    )
  ).rows;
  const schemaExists = facts?.schema ?? false;
  const schemaInUse = facts?.in_use ?? false;
  if (facts?.exists !== true) return { exists: false, rows: [], schemaExists, schemaInUse };
  // The journal of an earlier version has no column for it.
  const journalled = facts.journal
    ? `exists (select from ${journalTable} j where j.migration_id = h.id) as journalled,
       exists (select from ${journalTable} j where j.migration_id = h.id and to_jsonb(j)->>'rollback' is not null) as "takingBack"`
    : 'false as journalled, false as "takingBack"';
  const { rows: read } = await session.query<HistoryTexts>(
    `select id, migration_name as name, checksum, ${instantSql('started_at')} as "startedAt", ${instantSql('finished_at')} as "finishedAt",
            ${instantSql('rolled_back_at')} as "rolledBackAt", logs, ${journalled}
       from ${historyTable(schema)} h order by started_at, id`,
  );
  const rows = read.map(({ startedAt, finishedAt, rolledBackAt, ...row }) => ({
    ...row,
    startedAt: new Date(startedAt),
    finishedAt: instantOf(finishedAt),
    rolledBackAt: instantOf(rolledBackAt),
  }));
  return { exists: true, rows, schemaExists, schemaInUse };
}

/**
 * Creates the history, and the schema where it is missing, as Prisma creates them.
 * Source: prisma-engines, sql_migration_persistence.rs.
 */
export const createHistorySql = (schema: string, history: History): string =>
  history.schemaExists
    ? createTableSql(schema)
    : `create schema ${quoteIdentifier(schema)}; ${createTableSql(schema)}`;

const createTableSql = (schema: string): string => `create table ${historyTable(schema)} (
    id                      varchar(36) primary key not null,
    checksum                varchar(64) not null,
    finished_at             timestamptz,
    migration_name          varchar(255) not null,
    logs                    text,
    rolled_back_at          timestamptz,
    started_at              timestamptz not null default now(),
    applied_steps_count     integer not null default 0
)`;

/**
 * Our own tables are written as the connection's own role, whichever role the file has taken: that one need not be
 * allowed to. LOCAL gives the file's role back with the commit.
 */
export const ownRole = 'set local session authorization default; set local role none';

/** SQL on our own tables as a transaction of its own. */
export const asOurselves = (...statements: readonly string[]): string =>
  ['begin isolation level read committed read write', ownRole, ...statements, 'commit'].join('; ');

export interface HistoryEntry {
  readonly id: string;
  readonly name: string;
  readonly checksum: string;
}

const values = ({ id, checksum, name }: HistoryEntry): string =>
  [id, checksum, name].map(quoteLiteral).join(', ');

/** An attempt that begins: to Prisma a failed one, until it is finished. */
export const startedSql = (schema: string, entry: HistoryEntry): string =>
  `insert into ${historyTable(schema)} (id, checksum, migration_name, started_at) values (${values(entry)}, pg_catalog.clock_timestamp())`;

/** A whole attempt that begins and succeeds in the transaction at hand. */
export const appliedSql = (schema: string, entry: HistoryEntry): string =>
  `insert into ${historyTable(schema)} (id, checksum, migration_name, started_at, finished_at, applied_steps_count)
   values (${values(entry)}, pg_catalog.transaction_timestamp(), pg_catalog.clock_timestamp(), 1)`;

/** An attempt that failed and left nothing behind, in one write: Prisma sees the migration as pending. */
export const rolledBackSql = (schema: string, entry: HistoryEntry, logs: string): string =>
  `insert into ${historyTable(schema)} (id, checksum, migration_name, logs, started_at, rolled_back_at)
   values (${values(entry)}, ${quoteLiteral(logs)}, pg_catalog.transaction_timestamp(), pg_catalog.clock_timestamp())`;

export const finishSql = (schema: string, id: string): string =>
  `update ${historyTable(schema)} set finished_at = pg_catalog.clock_timestamp(), applied_steps_count = 1, logs = null where id = ${quoteLiteral(id)}`;

/** The attempt stays failed: it left something behind. */
export const failSql = (schema: string, id: string, logs: string): string =>
  `update ${historyTable(schema)} set logs = ${quoteLiteral(logs)} where id = ${quoteLiteral(id)}`;

export const rollBackSql = (schema: string, id: string, logs: string): string =>
  `update ${historyTable(schema)} set logs = ${quoteLiteral(logs)}, rolled_back_at = pg_catalog.clock_timestamp() where id = ${quoteLiteral(id)}`;

/** A migration that is taken back in several transactions: to Prisma a failed one, until that has ended. */
export const reopenedSql = (schema: string, id: string): string =>
  `update ${historyTable(schema)} set finished_at = null, logs = null where id = ${quoteLiteral(id)}`;

/** The row as it was before it was taken back. */
export const stillAppliedSql = (schema: string, id: string): string =>
  `update ${historyTable(schema)}
      set finished_at = coalesce((select max((j.rollback->>'appliedAt')::timestamptz) from ${journalTable} j where j.migration_id = ${quoteLiteral(id)}), started_at), logs = null
    where id = ${quoteLiteral(id)} and finished_at is null`;

/** Applied and taken back: to Prisma the migration is pending. */
export const takenBackSql = (schema: string, id: string): string =>
  `update ${historyTable(schema)} set rolled_back_at = pg_catalog.clock_timestamp() where id = ${quoteLiteral(id)}`;
