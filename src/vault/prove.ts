import type { Session } from '../db/session.ts';
import { asVault, inSavepoint } from './as-vault.ts';
import { vaultSchema } from './schema.ts';

/** What a statement would remove. */
export interface Gone {
  /** Tables and partitioned tables. */
  readonly tables: readonly number[];
  /** Columns of tables that stay. */
  readonly columns: readonly { readonly table: number; readonly attnum: number; readonly name: string }[];
  readonly sequences: readonly number[];
  /** Tables that stay and have other files than before: truncated, or written anew. */
  readonly rewritten: readonly number[];
  /** Tables in which it inserts, updates or deletes rows, whoever's code does it. */
  readonly written: readonly number[];
}

interface Relation {
  readonly oid: number;
  readonly kind: string;
  readonly file: number;
}

/**
 * Runs the statement as it is written, in the session's own role and settings, and takes it back: it fails where
 * PostgreSQL refuses it, with PostgreSQL's own error.
 */
export async function prove(session: Session, sql: string): Promise<Gone> {
  const before = await readRelations(session);
  const tables = before.filter(({ kind }) => kind !== 'S').map(({ oid }) => oid);
  const columns = await asVault(session, () => session.query<GoneColumn>(columnsSql, [tables]));
  return inSavepoint(
    session,
    async () => {
      const written = await asVault(session, () => countWrites(session));
      await session.query(sql);
      return asVault(session, async () => {
        const writes = await countWrites(session);
        const after = new Map((await listRelations(session)).map((relation) => [relation.oid, relation]));
        const left = await session.query<{ table: number; attnum: number }>(columnsSql, [tables]);
        const keys = new Set(left.rows.map(({ table, attnum }) => `${table}/${attnum}`));
        const gone = before.filter(({ oid }) => !after.has(oid));
        return {
          tables: gone.filter(({ kind }) => kind !== 'S').map(({ oid }) => oid),
          sequences: gone.filter(({ kind }) => kind === 'S').map(({ oid }) => oid),
          columns: columns.rows.filter(
            ({ table, attnum }) => after.has(table) && !keys.has(`${table}/${attnum}`),
          ),
          rewritten: before
            .filter(({ oid, kind, file }) => kind === 'r' && (after.get(oid)?.file ?? file) !== file)
            .map(({ oid }) => oid),
          written: [...writes]
            .filter(([oid, count]) => count !== (written.get(oid) ?? 0))
            .map(([oid]) => oid),
        };
      });
    },
    () => false,
  );
}

interface GoneColumn {
  readonly table: number;
  readonly attnum: number;
  readonly name: string;
}

/** How many rows the transaction has written so far, by table. */
async function countWrites(session: Session): Promise<Map<number, number>> {
  const { rows } = await session.query<{ oid: number; count: number }>(
    `select relid as oid, (n_tup_ins + n_tup_upd + n_tup_del)::float8 as count from pg_stat_xact_user_tables
      where n_tup_ins + n_tup_upd + n_tup_del > 0 and schemaname <> '${vaultSchema}'`,
  );
  return new Map(rows.map(({ oid, count }) => [oid, count]));
}

const readRelations = (session: Session): Promise<Relation[]> =>
  asVault(session, () => listRelations(session));

async function listRelations(session: Session): Promise<Relation[]> {
  const { rows } = await session.query<Relation>(
    `select c.oid, c.relkind::text as kind, pg_relation_filenode(c.oid) as file from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where c.relkind in ('r', 'p', 'S', 'f') and n.nspname not in ('pg_catalog', 'pg_toast', 'information_schema')`,
  );
  return rows;
}

const columnsSql = `select a.attrelid as table, a.attnum, a.attname as name from pg_attribute a
  where a.attrelid = any($1::oid[]) and a.attnum > 0 and not a.attisdropped`;

/** Whether any of these is the vault's own. */
export async function touchesVault(session: Session, oids: readonly number[]): Promise<boolean> {
  const { rows } = await session.query(
    `select 1 from pg_catalog.pg_class where oid = any($1::pg_catalog.oid[]) and relnamespace = pg_catalog.to_regnamespace('${vaultSchema}')`,
    [oids],
  );
  return rows.length > 0;
}
