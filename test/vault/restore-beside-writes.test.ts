/** The application writes while a restore is at work: its transaction is open when the restore begins, and commits. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Session } from '../../src/db/session.ts';
import { listConflicts } from '../../src/vault/list.ts';
import { type RestoreOutcome, restoreEntries } from '../../src/vault/restore.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';
import { waitFor } from '../support/wait.ts';
import { changes, changeType, dropColumns, migrate, open, texts } from './harness.ts';

let database: TestDatabase;
let session: Session;
let application: Session;
let observer: Session;
beforeEach(async () => {
  database = await createDatabase();
  [session, application, observer] = await Promise.all([
    open(database.url),
    open(database.url),
    open(database.url),
  ]);
});
afterEach(async () => {
  await Promise.all([session.close(), application.close(), observer.close()]);
  await database.drop();
});

/** Puts entries back while the application has written and not committed; it commits when the restore waits for it. */
async function restoreBeside(
  sql: string,
  ids: readonly string[],
  before = 'select 1',
): Promise<RestoreOutcome[]> {
  await session.query('begin');
  await session.query(before);
  await application.query(`begin; ${sql}`);
  const restoring = restoreEntries(session, ids);
  restoring.catch(() => undefined);
  await waitFor(async () => {
    const { rows } = await observer.query<{ waits: boolean }>(
      'select pg_catalog.cardinality(pg_catalog.pg_blocking_pids($1)) > 0 as waits',
      [session.pid],
    );
    return rows[0]?.waits;
  });
  await application.query('commit');
  const outcomes = await restoring;
  await session.query('commit');
  return outcomes;
}

const keyed = "create table a (id int primary key, n text); insert into a values (1, 'old'), (2, 'old')";
const keyless = "create table a (id int, n text); insert into a values (1, 'old'), (2, 'old')";
const update = changes(['a'], "update a set n = 'migrated'");

test.each([
  ['with a key', keyed, 1],
  ['without one', keyless, 1],
])('a value that was written meanwhile stays, in a row %s', async (_, table, conflicts) => {
  await session.query(table);
  const ids = await migrate(session, [update]);
  const outcomes = await restoreBeside("update a set n = 'application' where id = 1", ids);
  expect(outcomes).toMatchObject([{ restored: 1, conflicts: { changedSince: conflicts } }]);
  expect(await texts(session, 'select * from a')).toEqual(['(1,application)', '(2,old)']);
  expect(await listConflicts(session, ids[0] ?? '')).toMatchObject([
    { reason: 'changedSince', kept: { old: expect.stringContaining('"old"') } },
  ]);
});

test('a row that was deleted meanwhile is told', async () => {
  await session.query(keyed);
  const ids = await migrate(session, [update]);
  const outcomes = await restoreBeside('delete from a where id = 1', ids);
  expect(outcomes).toMatchObject([{ restored: 1, conflicts: { rowGone: 1 } }]);
});

test('a row of which the key was given again meanwhile stays', async () => {
  await session.query(keyed);
  const ids = await migrate(session, [changes(['a'], 'delete from a')]);
  const outcomes = await restoreBeside("insert into a values (1, 'application')", ids);
  expect(outcomes).toMatchObject([{ restored: 1, conflicts: { refused: 1 } }]);
  expect(await texts(session, 'select * from a')).toEqual(['(1,application)', '(2,old)']);
});

test.each([
  ['with a key', 'create table p (id int primary key, n text)', 'insert into p (id) values (7)'],
  [
    'in a table of which keys were changed',
    'create table p (id int primary key, n text); insert into p values (1)',
    'do $$ begin insert into p values (7); update p set id = 2 where id = 1; end $$',
  ],
])('a parent %s goes not while a child of it is being added', async (_, table, sql) => {
  await session.query(`${table}; create table c (id int primary key, p int references p on delete cascade)`);
  const ids = await migrate(session, [changes(['p', 'c'], sql)]);
  await restoreBeside('insert into c values (1, 7)', ids);
  expect(await texts(session, 'select * from c')).toEqual(['(1,7)']);
  expect(await texts(session, 'select id from p where id = 7')).toEqual(['(7)']);
  expect(await listConflicts(session, ids[0] ?? '')).toContainEqual(
    expect.objectContaining({ reason: 'referencedSince' }),
  );
});

test('a row whose parent is deleted meanwhile stays out', async () => {
  await session.query(
    'create table p (id int primary key); create table c (id int primary key, p int references p); insert into p values (1), (2); insert into c values (1, 1), (2, 2)',
  );
  const ids = await migrate(session, [changes(['c'], 'delete from c')]);
  const outcomes = await restoreBeside('delete from p where id = 1', ids);
  expect(outcomes).toMatchObject([{ restored: 1, conflicts: { parentGone: 1 } }]);
  expect(await texts(session, 'select * from c')).toEqual(['(2,2)']);
});

test.each([
  ['with a key', keyed],
  ['without one', keyless],
])('a column is filled again but where it was written meanwhile, in rows %s', async (_, table) => {
  await session.query(table);
  const ids = await migrate(session, [dropColumns('a', ['n'], 'alter table a drop column n')]);
  await session.query('alter table a add column n text');
  const outcomes = await restoreBeside("update a set n = 'application' where id = 1", ids);
  expect(outcomes).toMatchObject([{ restored: 1, conflicts: { changedSince: 1 } }]);
  expect(await texts(session, 'select * from a')).toEqual(['(1,application)', '(2,old)']);
});

test('while a type is changed back writers wait, and their values are told from the migrated ones', async () => {
  await session.query(keyed);
  const ids = await migrate(session, [
    changeType('a', ['n'], 'alter table a alter column n type int using length(n)'),
  ]);
  await session.query('alter table a alter column n type text');
  const outcomes = await restoreBeside("update a set n = 'application' where id = 1", ids);
  expect(outcomes).toMatchObject([{ restored: 1, conflicts: { changedSince: 1 } }]);
});

test('writers of other rows do not wait', async () => {
  await session.query(keyed);
  const ids = await migrate(session, [changes(['a'], "update a set n = 'migrated' where id = 1")]);
  await session.query('begin');
  await restoreEntries(session, ids);
  await application.query("set lock_timeout = '10s'; update a set n = 'application' where id = 2");
  await session.query('commit');
  expect(await texts(session, 'select * from a')).toEqual(['(1,old)', '(2,application)']);
});
