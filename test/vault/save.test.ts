/** What saving promises beside keeping: all or nothing, the limit, the retention, and that nothing else is disturbed. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Session } from '../../src/db/session.ts';
import { estimateRemoval } from '../../src/vault/estimate.ts';
import { listVault, readEntry } from '../../src/vault/list.ts';
import { removeEntry } from '../../src/vault/remove.ts';
import { restoreEntries, restoreEntry } from '../../src/vault/restore.ts';
import { removeExpired } from '../../src/vault/retention.ts';
import { save } from '../../src/vault/save.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';
import {
  changes,
  changeType,
  context,
  drop,
  dropColumns,
  dropTables,
  migrate,
  opaque,
  open,
  texts,
  truncate,
} from './harness.ts';

let database: TestDatabase;
let session: Session;
beforeEach(async () => {
  database = await createDatabase();
  session = await open(database.url);
  await session.query(`create table a (id int primary key, n text); create table b (id int primary key, a int references a on delete cascade);
    insert into a select n, repeat('x', 100) from generate_series(1, 1000) n; insert into b select n, n from generate_series(1, 1000) n; analyze`);
});
afterEach(async () => {
  await session.close();
  await database.drop();
});

const vaultTables = (): Promise<string[]> =>
  texts(
    session,
    "select relname from pg_class where relnamespace = to_regnamespace('switchback_vault') and relkind = 'r' and relname not in ('entry', 'conflict')",
  );

test('a session that is killed half-way leaves nothing', async () => {
  const victim = await open(database.url);
  await victim.query('begin');
  await save(victim, { kind: 'dropTables', sql: 'drop table b', tables: [] }, context);
  await save(victim, { kind: 'changes', tables: [{ schema: null, name: 'a' }] }, context);
  await victim.query('delete from a where id = 1');
  const lost = victim.whenLost();
  await session.query('select pg_terminate_backend($1)', [victim.pid]);
  await lost;
  await victim.close();
  expect(await texts(session, 'select count(*) from a join b on b.a = a.id')).toEqual(['(1000)']);
  expect(await texts(session, "select to_regnamespace('switchback_vault')")).toEqual(['()']);
});

test('what does not fit into the limit is refused, and stays', async () => {
  await expect(
    migrate(session, [truncate(['a'], 'truncate a cascade')], { limitBytes: 10_000 }),
  ).rejects.toMatchObject({
    code: 'VAULT_FULL',
  });
  expect(await texts(session, 'select count(*) from a')).toEqual(['(1000)']);
  await migrate(session, [truncate(['a'], 'truncate a cascade')], { limitBytes: 10_000_000 });
});

test.each([
  ['truncate a cascade', {}],
  ['truncate only a cascade', { only: true }],
])('%s: child tables that it leaves alone are not put back', async (sql, only) => {
  await session.query(
    'create table c () inherits (b); insert into c values (1, 1); create table d () inherits (a); insert into d values (1)',
  );
  const content = async (): Promise<string[][]> => [
    await texts(session, 'select tableoid::regclass, * from a'),
    await texts(session, 'select tableoid::regclass, * from b'),
  ];
  const before = await content();
  const tables = [{ schema: null, name: 'a', ...only }];
  const removal = { kind: 'rows', tables, cascade: true, restartsSequences: false } as const;
  const ids = await migrate(session, [[removal, sql]]);
  await session.query('begin');
  await restoreEntries(session, ids);
  await session.query('commit');
  expect(await content()).toEqual(before);
});

test('what is copied depends on no collation that goes, and is told apart as it is', async () => {
  await session.query(
    `create collation own (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
     create table e (id int primary key, n text collate own, m text collate own); create table f (n text collate own, o text);
     insert into e values (1, 'x', 'y'); insert into f values ('x', 'o'), ('X', 'o')`,
  );
  await migrate(session, [
    truncate(['e'], 'truncate e'),
    dropColumns('f', ['n'], 'alter table f drop column n'),
    changeType('e', ['m'], 'alter table e alter m type varchar(5) collate own using m::varchar(5)'),
  ]);
  await session.query('drop collation own cascade');
  const columns = await texts(
    session,
    `select table_name, kind, (select string_agg(attname, ',' order by attnum) from pg_attribute
        where attrelid = ('switchback_vault.' || relation)::regclass and attnum > 0 and not attisdropped) from switchback_vault.entry`,
  );
  expect(columns).toEqual([
    '(e,rows,"id,n,m")',
    '(e,values,"key_1,value_1,new_1")',
    '(f,column,"rest,value_1,n")',
  ]);
  expect(await texts(session, "select rows from switchback_vault.entry where kind = 'column'")).toEqual([
    '(2)',
  ]);
});

test('an entry is listed with its size and its end, and can be removed', async () => {
  const [id = ''] = await migrate(session, [dropTables('drop table b')]);
  const [entry] = await listVault(session);
  expect(entry).toMatchObject({ id, rows: 1000, operation: 'deployment-1', statement: 1, state: 'kept' });
  expect(entry?.bytes).toBeGreaterThan(30_000);
  expect((entry?.keepUntil.getTime() ?? 0) - (entry?.savedAt.getTime() ?? 0)).toBeCloseTo(
    30 * 86_400_000,
    -4,
  );
  await removeEntry(session, id);
  await removeEntry(session, id);
  expect(await readEntry(session, id)).toMatchObject({ state: 'removed', bytes: 0 });
  expect(await vaultTables()).toEqual([]);
  await expect(restoreEntry(session, id)).rejects.toMatchObject({ code: 'VAULT_ENTRY_REMOVED' });
  await expect(removeEntry(session, 'no such')).rejects.toMatchObject({ code: 'VAULT_ENTRY_NOT_FOUND' });
});

test('a database without a vault lists nothing', async () => {
  expect(await listVault(session)).toEqual([]);
  expect(await removeExpired(session)).toEqual([]);
  await expect(readEntry(session, context.operation)).rejects.toMatchObject({
    code: 'VAULT_ENTRY_NOT_FOUND',
  });
});

test('only what is past its retention is removed', async () => {
  const [old] = await migrate(session, [dropTables('drop table b')], { retentionDays: 0 });
  const [kept] = await migrate(session, [dropTables('drop table a')]);
  expect((await removeExpired(session)).map(({ id }) => id)).toEqual([old]);
  expect((await listVault(session)).map(({ id, state }) => [id, state])).toEqual([
    [old, 'removed'],
    [kept, 'kept'],
  ]);
});

test('what is to be put back needs a place', async () => {
  const [id = ''] = await migrate(session, [dropTables('drop table b')]);
  await session.query('begin');
  await expect(restoreEntry(session, id)).rejects.toMatchObject({ code: 'VAULT_TARGET_MISSING' });
  await session.query('rollback');
  await session.query('create table other (id int primary key, a int); begin');
  expect(
    await restoreEntry(session, id, { into: new Map([[id, { schema: 'public', name: 'other' }]]) }),
  ).toMatchObject({ restored: 1000 });
  await session.query('commit');
});

test('the settings and the role of the migration are its own again', async () => {
  await session.query(`create role migrator_${database.name}; grant migrator_${database.name} to current_user; grant all on schema public to migrator_${database.name};
    alter table b owner to migrator_${database.name}`);
  const settings =
    "select current_setting('search_path'), current_setting('datestyle'), current_setting('standard_conforming_strings'), current_user::text, current_setting('bytea_output')";
  await session.query('begin');
  await session.query(
    `set role migrator_${database.name}; set search_path = '$user', public, "We""ird"; set local datestyle = 'SQL, DMY'; set standard_conforming_strings = off; set bytea_output = escape`,
  );
  const before = (await session.query(settings)).rows;
  const saved = await save(session, { kind: 'dropTables', sql: 'drop table b', tables: [] }, context);
  expect(saved.replaces).toBe(true);
  expect((await session.query(settings)).rows).toEqual(before);
  // A DROP that the migration's role may not do is PostgreSQL's refusal.
  await expect(
    save(session, { kind: 'dropTables', sql: 'drop table a', tables: [] }, context),
  ).rejects.toMatchObject({
    code: 'PERMISSION_DENIED',
    details: { reason: 'must be owner of table a' },
  });
  await session.query('rollback; reset role; reset all');
  await session.query(`drop owned by migrator_${database.name}; drop role migrator_${database.name}`);
});

test('a role that owns the table can be dropped afterwards', async () => {
  const role = `owner_${database.name}`;
  await session.query(
    `create role ${role}; alter table b owner to ${role}; grant select on b to ${role} with grant option`,
  );
  await migrate(session, [dropTables('drop table b')]);
  await session.query(`drop role ${role}`);
  expect(await vaultTables()).toHaveLength(1);
});

test('a role without other rights than its own deploys, too', async () => {
  const role = `deployer_${database.name}`;
  await session.query(
    `create role ${role} login; grant create on database ${database.name} to ${role}; create schema app authorization ${role}`,
  );
  await session.query(`set session authorization ${role}; set search_path = app; create table t (id int primary key, v text); insert into t values (1, 'x'), (2, 'y');
    create table u (id int primary key, v text); insert into u values (1, 'x');
    alter table t enable row level security; alter table t force row level security; alter table u enable row level security; alter table u force row level security`);
  await session.query(`reset session authorization; alter role ${role} password 'x'`);
  const url = new URL(database.url);
  url.username = role;
  url.password = 'x';
  const deployer = await open(url.href);
  try {
    await deployer.query('set search_path = app');
    const ids = await migrate(deployer, [
      dropTables('drop table t'),
      dropColumns('u', ['v'], 'alter table u drop column v'),
    ]);
    await deployer.query(
      'create table t (id int primary key, v text); alter table t enable row level security; alter table t force row level security; alter table u add v text',
    );
    await deployer.query('begin');
    for (const id of ids) expect(await restoreEntry(deployer, id)).toMatchObject({ conflicts: {} });
    await deployer.query('commit');
  } finally {
    await deployer.close();
  }
  expect(await texts(session, 'select * from app.t')).toEqual(['(1,x)', '(2,y)']);
  expect(await texts(session, 'select * from app.u')).toEqual(['(1,x)']);
  await session.query(`drop owned by ${role}; drop role ${role}`);
});

test("what belongs to somebody else is left to PostgreSQL's own DROP, and copied", async () => {
  const role = `owner_${database.name}`;
  const password = 'x';
  await session.query(
    `create role ${role} login password '${password}'; grant create on database ${database.name} to ${role}; alter table a owner to ${role}`,
  );
  const url = new URL(database.url);
  url.username = role;
  url.password = password;
  const owner = await open(url.href);
  // The foreign key that goes with the table is of a table that the role may not alter.
  const ids = await migrate(owner, [dropTables('drop table a cascade')]);
  await owner.close();
  expect(await texts(session, "select to_regclass('a'), (select count(*) from b)")).toEqual(['(,1000)']);
  const [entry] = await listVault(session);
  expect(entry).toMatchObject({ id: ids[0], table: 'a', rows: 1000 });
  expect(entry?.facts.copiedBecause).toContain('must be owner of table b');
  await session.query(`drop owned by ${role}; drop role ${role}`);
});

describe('PUBLIC', () => {
  test('has no right in the vault', async () => {
    await migrate(session, [dropTables('drop table b'), changes(['a'], 'delete from a')]);
    expect(
      await texts(
        session,
        "select coalesce(relacl::text, '') ~ '[{,]=' as open from pg_class where relnamespace = 'switchback_vault'::regnamespace group by 1",
      ),
    ).toEqual(['(f)']);
    expect(
      await texts(session, "select has_schema_privilege('public', 'switchback_vault', 'usage') as u"),
    ).toEqual(['(f)']);
  });
});

test('tables named like those of the vault can be dropped', async () => {
  await session.query(
    'create table entry (id int); create table conflict (id int); insert into entry values (1)',
  );
  await migrate(session, [dropTables('drop table entry, conflict')]);
  expect((await listVault(session)).map(({ facts }) => facts.copiedBecause)).toEqual([undefined, undefined]);
});

test('the vault itself is not dropped', async () => {
  await migrate(session, [dropTables('drop table b')]);
  await expect(migrate(session, [drop('drop schema switchback_vault cascade')])).rejects.toMatchObject({
    code: 'VAULT_CANNOT_KEEP',
  });
});

test('a transaction that sees an old state is refused where rows would be copied', async () => {
  await session.query('set default_transaction_isolation = serializable');
  await expect(
    migrate(session, [dropColumns('a', ['n'], 'alter table a drop column n')]),
  ).rejects.toMatchObject({ code: 'VAULT_CANNOT_KEEP' });
  await migrate(session, [dropTables('drop table b')]);
});

test('a block that commits is refused', async () => {
  await expect(
    migrate(session, [opaque([], 'do $$ begin delete from a; commit; end $$')]),
  ).rejects.toMatchObject({ code: 'VAULT_CANNOT_KEEP' });
});

test('nothing that is not there is saved', async () => {
  const ids = await migrate(session, [
    dropTables('drop table if exists nothing'),
    dropColumns('nothing', ['x'], 'alter table if exists nothing drop column x'),
    dropColumns('a', ['x'], 'alter table a drop column if exists x'),
    changeType('nothing', ['x'], 'alter table if exists nothing alter x type int'),
    'create temporary table temp (id int)',
    dropTables('drop table temp'),
    changes(['a'], 'delete from a where false'),
  ]);
  expect(ids).toEqual([]);
  expect(await listVault(session)).toEqual([]);
});

test('an estimate is near what is kept, and reads no table', async () => {
  const table = { schema: null, name: 'a' };
  expect(await estimateRemoval(session, { kind: 'dropTables', sql: '', tables: [table] })).toMatchObject({
    moved: true,
    rows: 1000,
  });
  const column = await estimateRemoval(session, { kind: 'dropColumns', table, columns: ['n'] });
  await migrate(session, [dropColumns('a', ['n'], 'alter table a drop column n')]);
  const [entry] = await listVault(session);
  expect(column.bytes / (entry?.bytes ?? 1)).toBeGreaterThan(0.7);
  expect(column.bytes / (entry?.bytes ?? 1)).toBeLessThan(1.3);
  expect(await estimateRemoval(session, { kind: 'changes', tables: [table] })).toMatchObject({
    atMost: true,
  });
});
