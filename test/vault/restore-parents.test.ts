/** What comes back may point to rows that the application has deleted since. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Session } from '../../src/db/session.ts';
import { listConflicts } from '../../src/vault/list.ts';
import { restoreEntries } from '../../src/vault/restore.ts';
import { availableMajors, startServer, type TestDatabase, type TestServer } from '../support/postgres.ts';
import { changes, changeType, migrate, open, texts } from './harness.ts';

describe.each(availableMajors.filter((major) => [15, 18].includes(major)))('PostgreSQL %i', (major) => {
  let server: TestServer;
  let database: TestDatabase;
  let session: Session;
  beforeAll(async () => {
    server = await startServer(major);
  });
  afterAll(() => server.stop('immediate'));
  beforeEach(async () => {
    database = await server.createDatabase();
    session = await open(database.url);
  });
  afterEach(async () => {
    await session.close();
    await database.drop();
  });

  async function restore(ids: readonly string[]) {
    await session.query('begin');
    const outcomes = await restoreEntries(session, ids);
    await session.query('commit');
    return outcomes.map(({ table, restored, conflicts }) => [table, restored, conflicts]);
  }

  test.each([
    ['citext', 'create extension citext', 'citext', 'citext', "'Abc'", "'aBC'"],
    ['numbers', '', 'numeric', 'numeric(10,2)', '1', '1'],
    ['integers of other sizes', '', 'bigint', 'smallint', '1', '1'],
    ['floats', '', 'float8', 'float4', '0.5', '0.5'],
    ['padded texts', '', 'char(5)', 'char(3)', "'a'", "'a'"],
  ])('%s are compared as the foreign key does', async (_, before, parent, child, one, other) => {
    await session.query(
      `${before}; create table p (code ${parent} primary key); create table c (id int primary key, p ${child} references p); insert into p values (${one}); insert into c values (1, ${other})`,
    );
    const ids = await migrate(session, [changes(['c'], 'delete from c'), changes(['p'], 'delete from p')]);
    expect(await restore(ids)).toEqual([
      ['p', 1, {}],
      ['c', 1, {}],
    ]);
  });

  test('a value whose parent is gone is kept, the others come back', async () => {
    await session.query(
      'create table p (id int primary key); create table c (id int primary key, p int references p on delete set null, q int); insert into p values (1), (2); insert into c values (1, 1, 1), (2, 2, 2)',
    );
    const ids = await migrate(session, [changes(['c'], 'update c set p = null, q = null')]);
    await session.query('delete from p where id = 1');
    expect(await restore(ids)).toEqual([['c', 1, { parentGone: 1 }]]);
    expect(await texts(session, 'select * from c')).toEqual(['(1,,)', '(2,2,2)']);
    expect(await listConflicts(session, ids[0] ?? '')).toMatchObject([
      { reason: 'parentGone', kept: { old: expect.stringContaining('"p": "1"') } },
    ]);
  });

  test('a value whose parent comes back, too', async () => {
    await session.query(
      'create table p (id int primary key); create table c (id int primary key, p int references p on delete set null); insert into p values (1), (2); insert into c values (1, 1), (2, 2)',
    );
    const ids = await migrate(session, [
      changes(['p', 'c'], 'delete from p where id = 1'),
      changes(['c'], 'update c set p = null'),
    ]);
    expect(await restore(ids)).toEqual([
      ['c', 1, {}],
      ['c', 1, {}],
      ['p', 1, {}],
    ]);
    expect(await texts(session, 'select * from c')).toEqual(['(1,1)', '(2,2)']);
  });

  test('a migrated value of another type whose parent is gone', async () => {
    await session.query(
      'create table p (id int primary key); create table c (id int primary key, p int); insert into p values (1), (2); insert into c values (1, 1), (2, 2)',
    );
    const ids = await migrate(session, [
      changeType('c', ['p'], 'alter table c alter column p type int using p + 10'),
    ]);
    await session.query(
      'alter table c alter column p type int using p; alter table c add foreign key (p) references p not valid; delete from p where id = 1',
    );
    expect(await restore(ids)).toEqual([['c', 1, { parentGone: 1 }]]);
  });

  test.runIf(major >= 18)('periods that parents cover together', async () => {
    await session.query(
      `create extension btree_gist; create table p (id int, at daterange, primary key (id, at without overlaps));
       create table c (id int primary key, p int, at daterange, foreign key (p, period at) references p (id, period at));
       insert into p values (1, '[2020-01-01,2021-01-01)'), (1, '[2021-01-01,2022-01-01)'), (2, '[2020-01-01,2021-01-01)');
       insert into c values (1, 1, '[2020-06-01,2021-06-01)'), (2, 2, '[2020-06-01,2020-07-01)')`,
    );
    const ids = await migrate(session, [changes(['c'], 'delete from c'), changes(['p'], 'delete from p')]);
    await session.query("insert into p values (1, '[2021-01-01,2022-01-01)')");
    expect((await restore(ids)).slice(1)).toEqual([['c', 2, {}]]);
  });

  test.runIf(major >= 18)('a foreign key that is not enforced holds nobody back', async () => {
    await session.query(
      'create table p (id int primary key); create table c (id int primary key, p int references p not enforced); insert into c values (1, 99)',
    );
    const ids = await migrate(session, [changes(['c'], 'delete from c')]);
    expect(await restore(ids)).toEqual([['c', 1, {}]]);
  });
});
