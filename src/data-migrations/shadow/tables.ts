/**
 * The two tables, by what cannot be mistaken: the triggers of the mirror, and names that are ours. Not by their oids, which are
 * others in a database that was restored from a backup.
 */
import { qualify } from '../../db/quote.ts';
import type { Session } from '../../db/session.ts';
import { AppError } from '../../errors.ts';
import { inVault } from '../../vault/entry.ts';
import { readTable, type Table } from '../../vault/table.ts';
import { mirrorFunction } from './mirror.ts';
import { type Shadow, shadowSchema } from './state.ts';

/** The one that has the place, and the one that is mirrored. */
export interface Tables {
  readonly live: Table;
  readonly mirrored: Table;
}

/** As long as one of the two is mirrored. @throws AppError `TABLE_CHANGED` where one of them is gone */
export async function findTables(session: Session, state: Shadow): Promise<Tables> {
  const { id, table, wayBack } = state;
  const mirrored =
    wayBack === null ? qualify(shadowSchema(id), table) : await keptName(session, wayBack.entry);
  const { rows } = await session.query<{ live: number | null; mirrored: number | null }>(
    `select (select tgrelid from pg_catalog.pg_trigger where tgfoid = pg_catalog.to_regproc($1) limit 1) as live,
       pg_catalog.to_regclass($2)::pg_catalog.oid as mirrored`,
    [mirrorFunction({ id, direction: wayBack === null ? 'forth' : 'back' }), mirrored],
  );
  return {
    live: await requireTable(session, state, rows[0]?.live ?? null),
    mirrored: await requireTable(session, state, rows[0]?.mirrored ?? null),
  };
}

async function keptName(session: Session, entry: string): Promise<string | null> {
  const { rows } = await session.query<{ relation: string | null }>(
    'select relation from switchback_vault.entry where id = $1',
    [entry],
  );
  const relation = rows[0]?.relation ?? null;
  return relation === null ? null : inVault(relation);
}

async function requireTable(session: Session, state: Shadow, oid: number | null): Promise<Table> {
  const table = oid === null ? null : await readTable(session, oid);
  if (table !== null) return table;
  throw new AppError(
    'TABLE_CHANGED',
    `A table of the data migration "${state.name}" (${state.id}) on ${state.schema}.${state.table} is gone, or its triggers are. Nothing more was done.`,
    { dataMigration: state.id, table: `${state.schema}.${state.table}` },
  );
}
