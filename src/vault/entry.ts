import { v4 as newId } from 'uuid';
import { instantSql } from '../db/instant.ts';
import { qualify, quoteIdentifier } from '../db/quote.ts';
import type { Session } from '../db/session.ts';
import { AppError } from '../errors.ts';
import { byOrigin } from './by-origin.ts';
import type { Origin } from './origins.ts';
import type { Direction, VaultContext } from './removals.ts';
import { vaultSchema } from './schema.ts';

export type EntryKind = 'table' | 'column' | 'values' | 'label' | 'rows' | 'changes' | 'sequence';
export type EntryState = 'kept' | 'restored' | 'removed';

/** A sequence's place and value, as text: a bigint does not fit into a number. */
export interface SequenceFact {
  readonly schema: string;
  readonly name: string;
  /** Of the column that owns it; null for a sequence of its own. */
  readonly column: string | null;
  readonly definition: string;
  readonly lastValue: string;
  readonly isCalled: boolean;
  readonly increment: string;
}

export interface ColumnFact {
  readonly name: string;
  /** As it was, as text: the type itself may be gone. */
  readonly type: string;
  readonly notNull: boolean;
  readonly generated: boolean;
}

/** What is known of a thing that was saved, beyond its data. All SQL in it is fully qualified. */
export interface EntryFacts {
  readonly columns?: readonly ColumnFact[];
  readonly sequences?: readonly SequenceFact[];
  /** The partitioned table at the top, for a partition. */
  readonly root?: { readonly schema: string; readonly name: string } | null;
  /** SQL of what was taken off a table, by kind. */
  readonly definitions?: Readonly<Record<string, readonly string[]>>;
  /** What the statement's CASCADE took beside it. */
  readonly alsoDropped?: readonly string[];
  /** Why a table that was to be moved was copied. */
  readonly copiedBecause?: string;
  /** SQL of what has to go before it can be removed, in the same transaction: triggers that still write to it. */
  readonly beforeRemoval?: readonly string[];
  readonly labels?: readonly string[];
  /** Names of the columns by which rows without a key are told apart. */
  readonly rest?: readonly string[];
  /** Rows of child tables are not in it. */
  readonly only?: boolean;
  /** Whether the migrated values are there too, so that later changes are told from the migration's. */
  readonly hasNew?: boolean;
  /** The types of the migrated values, by column in the entry's order. */
  readonly newTypes?: readonly string[];
}

export interface VaultEntry {
  readonly id: string;
  readonly number: number;
  readonly operation: string;
  readonly migration: string;
  /** Whether applying the migration removed it, or taking it back. */
  readonly direction: Direction;
  readonly statement: number;
  readonly kind: EntryKind;
  readonly schema: string;
  readonly table: string;
  readonly columns: readonly string[];
  readonly keyColumns: readonly string[] | null;
  readonly relation: string | null;
  readonly facts: EntryFacts;
  readonly rows: number;
  readonly bytes: number;
  readonly savedAt: Date;
  readonly keepUntil: Date;
  readonly state: EntryState;
}

/** Names are those of now. */
export interface NewEntry {
  readonly id: string;
  readonly kind: EntryKind;
  readonly schema: string;
  readonly table: string;
  readonly columns?: readonly string[];
  readonly keyColumns?: readonly string[] | null;
  readonly relation: string | null;
  readonly facts: EntryFacts;
  /** Where it is known, or estimated, without reading the relation; else counted by `record`. */
  readonly rows?: number;
  /** Where a migration may have given other names. */
  readonly origin?: Origin;
}

/** An id for an entry, and the name that its relation gets. */
export function nameEntry(kind: EntryKind): { id: string; relation: string } {
  const id = newId();
  return { id, relation: `${kind}_${id.replaceAll('-', '')}` };
}

/** The relation of an entry, for SQL. */
export const inVault = (relation: string): string => qualify(vaultSchema, relation);

/**
 * Writes an entry down once its relation is there, and looks whether the vault is now over its limit.
 * @throws AppError `VAULT_FULL`
 */
export async function record(session: Session, written: NewEntry, context: VaultContext): Promise<string> {
  const entry = byOrigin(written, context);
  const relation = entry.relation === null ? null : inVault(entry.relation);
  const rows = entry.rows ?? (relation === null ? 0 : await countRows(session, relation));
  await session.query(
    `insert into ${vaultSchema}.entry
       (id, operation, migration, direction, statement, kind, schema_name, table_name, column_names, key_columns, relation, facts, rows, bytes, keep_until)
     values ($1, $2, $3, $15, $4, $5, $6, $7, $8, $9, $10, $11, $12,
       coalesce(pg_total_relation_size($13::text::regclass), 0), clock_timestamp() + make_interval(secs => $14))`,
    [
      entry.id,
      context.operation,
      context.migration,
      context.statement,
      entry.kind,
      entry.schema,
      entry.table,
      entry.columns ?? [],
      entry.keyColumns ?? null,
      entry.relation,
      JSON.stringify(entry.facts),
      rows,
      relation,
      context.retentionDays * 86_400,
      context.direction,
    ],
  );
  await refuseFull(session, context);
  return entry.id;
}

/** Takes the size of an entry again, when its relation was written to after `record`. */
export async function recount(
  session: Session,
  id: string,
  relation: string,
  context: VaultContext,
): Promise<void> {
  await session.query(
    `update ${vaultSchema}.entry set rows = $2, bytes = pg_total_relation_size($3::text::regclass) where id = $1`,
    [id, await countRows(session, inVault(relation)), inVault(relation)],
  );
  await refuseFull(session, context);
}

export async function countRows(session: Session, relation: string): Promise<number> {
  const { rows } = await session.query<{ count: string }>(`select count(*) as count from ${relation}`);
  return Number(rows[0]?.count ?? 0);
}

async function refuseFull(session: Session, { limitBytes }: VaultContext): Promise<void> {
  if (limitBytes === null) return;
  const { rows } = await session.query<{ bytes: string }>(
    `select coalesce(sum(bytes), 0) as bytes from ${vaultSchema}.entry where state <> 'removed'`,
  );
  const bytes = Number(rows[0]?.bytes ?? 0);
  if (bytes <= limitBytes) return;
  throw new AppError(
    'VAULT_FULL',
    `With what this statement removes the vault of ${session.target.display} would hold ${bytes} bytes, and its limit is ${limitBytes}. ` +
      'The transaction was rolled back. Remove entries that are no longer needed, or raise the limit.',
    { bytes, limitBytes },
  );
}

const columnsSql = `id, number::float8 as number, operation, migration, direction, statement, kind, schema_name, table_name, column_names, key_columns,
  relation, facts, rows::float8 as rows, bytes::float8 as bytes,
  ${instantSql('saved_at')} as saved_at, ${instantSql('keep_until')} as keep_until, state`;

interface EntryRow {
  id: string;
  number: number;
  operation: string;
  migration: string;
  direction: Direction;
  statement: number;
  kind: EntryKind;
  schema_name: string;
  table_name: string;
  column_names: string[];
  key_columns: string[] | null;
  relation: string | null;
  facts: EntryFacts;
  rows: number;
  bytes: number;
  saved_at: string;
  keep_until: string;
  state: EntryState;
}

/** Entries in the order in which they were saved. The condition is SQL of ours, on the columns of `entry`. */
export async function readEntries(
  session: Session,
  condition: string,
  values: readonly unknown[] = [],
): Promise<VaultEntry[]> {
  const { rows } = await session.query<EntryRow>(
    `select ${columnsSql} from ${quoteIdentifier(vaultSchema)}.entry where ${condition} order by number`,
    values,
  );
  return rows.map(({ schema_name, table_name, column_names, key_columns, saved_at, keep_until, ...row }) => ({
    ...row,
    schema: schema_name,
    table: table_name,
    columns: column_names,
    keyColumns: key_columns,
    savedAt: new Date(saved_at),
    keepUntil: new Date(keep_until),
  }));
}
