import { openSession, type Session } from '../../src/db/session.ts';
import { parseTarget } from '../../src/db/target.ts';
import type { Removal, VaultContext } from '../../src/vault/removals.ts';
import { save } from '../../src/vault/save.ts';

export const context: VaultContext = {
  operation: 'deployment-1',
  migration: '20260101000000_remove',
  direction: 'forth',
  statement: 1,
  retentionDays: 30,
  limitBytes: null,
};

export const open = (url: string): Promise<Session> =>
  openSession(parseTarget(url), { applicationName: 'test:vault', doing: 'testing' });

/** As a migration is run: one transaction, in which what a statement removes is saved before it. */
export async function migrate(
  session: Session,
  steps: readonly (string | readonly [removal: Removal, sql: string])[],
  options: Partial<VaultContext> = {},
): Promise<string[]> {
  const entries: string[] = [];
  await session.query('begin');
  try {
    const ends: (() => Promise<void>)[] = [];
    for (const [index, step] of steps.entries()) {
      if (typeof step === 'string') {
        await session.query(step);
        continue;
      }
      const [removal, sql] = step;
      const saved = await save(session, removal, { ...context, statement: index + 1, ...options });
      if (!saved.replaces) await session.query(sql);
      await saved.after();
      ends.push(() => saved.atEnd());
      entries.push(...saved.entries);
    }
    for (const end of ends) await end();
    await session.query('commit');
    return entries;
  } catch (error) {
    if (session.alive) await session.query('rollback');
    throw error;
  }
}

/** `a.b` or `b`; a name with a dot in it is given as a pair. */
export const name = (written: string) => {
  const [first = '', second] = written.split('.');
  return second === undefined ? { schema: null, name: first } : { schema: first, name: second };
};

/** The step of a DROP TABLE. */
export const dropTables = (sql: string): readonly [Removal, string] => [
  { kind: 'dropTables', sql, tables: [] },
  sql,
];
export const drop = (sql: string): readonly [Removal, string] => [{ kind: 'drop', sql }, sql];
export const dropColumns = (
  table: string,
  columns: readonly string[],
  sql: string,
): readonly [Removal, string] => [{ kind: 'dropColumns', table: name(table), columns }, sql];
export const changes = (tables: readonly string[], sql: string): readonly [Removal, string] => [
  { kind: 'changes', tables: tables.map(name) },
  sql,
];
export const truncate = (tables: readonly string[], sql: string): readonly [Removal, string] => [
  {
    kind: 'rows',
    tables: tables.map(name),
    cascade: /cascade/i.test(sql),
    restartsSequences: /restart/i.test(sql),
  },
  sql,
];
export const changeType = (
  table: string,
  columns: readonly string[],
  sql: string,
  labels?: readonly string[],
): readonly [Removal, string] => [
  { kind: 'values', table: name(table), columns, ...(labels === undefined ? {} : { labels }) },
  sql,
];
export const opaque = (tables: readonly string[], sql: string): readonly [Removal, string] => [
  { kind: 'opaque', sql, tables: tables.map(name) },
  sql,
];

/** Rows of a query, each as text. */
export async function texts(session: Session, sql: string): Promise<string[]> {
  const { rows } = await session.query<{ row: string }>(
    `select whole_row::text as row from (${sql}) whole_row order by 1`,
  );
  return rows.map(({ row }) => row);
}

/** The catalogue but for the vault: every object that pg_depend or pg_class knows, by its identity. */
export const objects = (session: Session): Promise<string[]> =>
  texts(
    session,
    `select distinct i.type, i.identity from (
        select classid, objid, objsubid from pg_depend where objid >= 16384 union select refclassid, refobjid, 0 from pg_depend where refobjid >= 16384
        union select 'pg_class'::regclass, attrelid, attnum::int from pg_attribute where attrelid >= 16384 and attnum > 0 and not attisdropped) d
      cross join lateral pg_identify_object(d.classid, d.objid, d.objsubid) i
      where i.identity is not null and i.identity not like '%switchback%' and i.identity not like '%pg_toast%'
        and i.identity !~ 'RI_ConstraintTrigger'`,
  );
