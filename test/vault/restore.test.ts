import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Session } from '../../src/db/session.ts';
import { listConflicts, listVault } from '../../src/vault/list.ts';
import { type RestoreOptions, type RestoreOutcome, restoreEntries } from '../../src/vault/restore.ts';
import { availableMajors, startServer, type TestDatabase, type TestServer } from '../support/postgres.ts';
import {
  changes,
  changeType,
  drop,
  dropColumns,
  dropTables,
  migrate,
  opaque,
  open,
  texts,
  truncate,
} from './harness.ts';

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

  /** As a rollback is run: its own statements, then what was saved goes back, in one transaction. */
  async function rollBack(
    sql: string,
    ids: readonly string[],
    options: RestoreOptions = {},
  ): Promise<RestoreOutcome[]> {
    await session.query('begin');
    if (sql !== '') await session.query(sql);
    const outcomes = await restoreEntries(session, ids, options);
    await session.query('commit');
    return outcomes;
  }
  const conflictsOf = (outcomes: readonly RestoreOutcome[]) => outcomes.map(({ conflicts }) => conflicts);

  describe('rows without a key', () => {
    test('are undone in the reverse of the order, however many they are', async () => {
      await session.query(
        'create table many (n int); insert into many select n from generate_series(1, 1200) n; create table often (n int); insert into often values (0)',
      );
      const ids = await migrate(session, [
        changes(['many'], 'delete from many'),
        opaque(['often'], 'do $$ begin for i in 1..12 loop update often set n = n + 1; end loop; end $$'),
      ]);
      const outcomes = await rollBack('', ids);
      expect(outcomes).toMatchObject([
        { restored: 12, conflicts: {} },
        { restored: 1_200, conflicts: {} },
      ]);
      expect(await texts(session, 'select count(distinct n) from many')).toEqual(['(1200)']);
      expect(await texts(session, 'select n from often')).toEqual(['(0)']);
    });
  });

  describe('a dropped table', () => {
    const customers = 'create table customers (id int primary key, name text)';
    const orders = `create table orders (id int primary key generated always as identity, customer int not null references customers on delete cascade,
      parent int references orders, state state, total numeric(10,2), twice numeric generated always as (total * 2) stored, word char(5), bits bit(3), code varchar(4))`;
    const setUp = async (): Promise<void> => {
      await session.query(`create type state as enum ('new', 'paid'); ${customers}; ${orders}`);
      await session.query("insert into customers select n, 'c' || n from generate_series(1, 5) n");
      await session.query(
        "insert into orders (customer, parent, state, total, word, bits, code) select n, nullif(5 - n, 0), 'new', n / 3.0, 'w' || n, '101', 'abcd' from generate_series(5, 1, -1) n where false",
      );
      await session.query(
        "insert into orders (customer, parent, state, total, word, bits, code) select n, case when n < 5 then n + 1 end, case n % 2 when 0 then 'new' else 'paid' end::state, n / 3.0, 'w' || n, '101', 'abcd' from generate_series(1, 5) n",
      );
    };

    test('comes back with all its rows, its types and where its numbers stood', async () => {
      await setUp();
      const before = await texts(session, 'select * from orders');
      const ids = await migrate(session, [dropTables('drop table orders'), 'drop type state']);
      // The application goes on.
      await session.query(
        "delete from customers where id = 3; update customers set id = 50 where id = 5; insert into customers values (9, 'new')",
      );
      await session.query(
        "update customers set id = 5 where id = 50; insert into customers values (3, 'again')",
      );
      const outcomes = await rollBack(`create type state as enum ('new', 'paid'); ${orders}`, ids);
      expect(outcomes).toMatchObject([{ kind: 'table', restored: 5, present: 0, conflicts: {} }]);
      expect(await texts(session, 'select * from orders')).toEqual(before);
      expect((await session.query('insert into orders (customer) values (9) returning id')).rows).toEqual([
        { id: 6 },
      ]);
    });

    test('leaves out rows whose parent was deleted since, and those that hang on them', async () => {
      await setUp();
      const ids = await migrate(session, [dropTables('drop table orders')]);
      await session.query('delete from customers where id = 4');
      const [outcome] = await rollBack(orders, ids);
      // 4 points to the customer; 3, 2 and 1 point to it.
      expect(outcome).toMatchObject({ restored: 1, conflicts: { parentGone: 4 } });
      expect(await listConflicts(session, ids[0] ?? '')).toContainEqual(
        expect.objectContaining({
          reason: 'parentGone',
          kept: expect.objectContaining({ id: '4', word: 'w4' }),
        }),
      );
      expect((await listVault(session))[0]).toMatchObject({ state: 'restored', rows: 5 });
    });

    test('never overwrites a row whose key is used again', async () => {
      await setUp();
      const ids = await migrate(session, [dropTables('drop table orders')]);
      await session.query(
        `${orders}; insert into orders (id, customer, word) overriding system value values (2, 1, 'mine')`,
      );
      const [outcome] = await rollBack('', ids);
      expect(outcome).toMatchObject({ restored: 4, conflicts: { keyReused: 1 } });
      expect(await texts(session, 'select word from orders where id = 2')).toEqual(['("mine ")']);
    });

    test('that is restored twice is there once', async () => {
      await setUp();
      const ids = await migrate(session, [dropTables('drop table orders')]);
      await rollBack(orders, ids);
      expect(await rollBack('', ids)).toMatchObject([{ restored: 0, present: 5, conflicts: {} }]);
    });

    test('a value that does not fit any more is left out by itself', async () => {
      await setUp();
      const ids = await migrate(session, [dropTables('drop table orders')]);
      const [outcome] = await rollBack(
        orders.replace('total numeric(10,2)', 'total numeric(10,2) check (total <> 1)'),
        ids,
      );
      // 2 and 1 hang on it.
      expect(outcome).toMatchObject({ restored: 2, conflicts: { refused: 1, parentGone: 2 } });
    });

    test('tables that point to one another come back together', async () => {
      const chicken = `create table chicken (id int primary key, egg int not null); create table egg (id int primary key, chicken int not null references chicken);
        alter table chicken add foreign key (egg) references egg deferrable initially deferred`;
      await session.query(chicken);
      await session.query(
        'begin; insert into chicken values (1, 1), (2, 2); insert into egg values (1, 1), (2, 2); commit',
      );
      const ids = await migrate(session, [dropTables('drop table chicken, egg')]);
      expect(ids).toHaveLength(2);
      const outcomes = await rollBack(chicken, ids);
      expect(conflictsOf(outcomes)).toEqual([{}, {}]);
      expect(await texts(session, 'select * from chicken')).toEqual(['(1,1)', '(2,2)']);
    });

    test('without a primary key comes back row by row', async () => {
      const log = 'create table log (at date, note text)';
      await session.query(
        `${log}; insert into log values ('2026-01-01', 'a'), ('2026-01-01', 'a'), (null, null)`,
      );
      const before = await texts(session, 'select * from log');
      const ids = await migrate(session, [dropTables('drop table log')]);
      await rollBack(log, ids);
      expect(await texts(session, 'select * from log')).toEqual(before);
    });

    test('with names of every kind', async () => {
      const make = `create schema "We.ird ""S"; create table "We.ird ""S"."sel""ect ✓" ("a b" int primary key, "Ü'x" text, "key_1" int, "at" text, "entry" text)`;
      await session.query(
        `${make}; insert into "We.ird ""S"."sel""ect ✓" values (1, 'x', 2, 'now', 'e'), (2, null, null, null, null)`,
      );
      const ids = await migrate(session, [drop('drop schema "We.ird ""S" cascade')]);
      await rollBack(make, ids);
      expect(await texts(session, 'select * from "We.ird ""S"."sel""ect ✓"')).toEqual([
        '(1,x,2,now,e)',
        '(2,,,,)',
      ]);
    });

    test('a partitioned one', async () => {
      const make = `create table events (id bigint generated by default as identity, day date, note text, primary key (id, day)) partition by range (day);
        create table events_1 partition of events for values from ('2026-01-01') to ('2026-02-01');
        create table events_2 partition of events for values from ('2026-02-01') to ('2026-03-01') partition by hash (id);
        create table events_2a partition of events_2 for values with (modulus 1, remainder 0)`;
      const supported = major >= 17 ? make : make.replace('generated by default as identity', 'default 0');
      await session.query(supported);
      await session.query("insert into events values (1, '2026-01-05', 'a'), (2, '2026-02-05', 'b')");
      const ids = await migrate(session, [dropTables('drop table events')]);
      const tables = (await listVault(session)).filter(({ kind }) => kind === 'table');
      expect(tables.map(({ table }) => table)).toEqual(['events_1', 'events_2a']);
      expect(tables.map(({ facts }) => facts.copiedBecause)).toEqual([undefined, undefined]);
      await rollBack(supported, ids);
      expect(await texts(session, 'select * from events')).toEqual(['(1,2026-01-05,a)', '(2,2026-02-05,b)']);
    });

    test('one partition of a table that stays', async () => {
      await session.query(`create table t (id int primary key); create table events (id int references t, day date, primary key (id, day)) partition by range (day);
        create table events_1 partition of events for values from ('2026-01-01') to ('2026-02-01'); insert into t values (1); insert into events values (1, '2026-01-05')`);
      const ids = await migrate(session, [dropTables('drop table events_1')]);
      expect((await listVault(session))[0]?.facts.copiedBecause).toBeUndefined();
      await session.query('delete from t; insert into t values (1)');
      await rollBack(
        "create table events_1 partition of events for values from ('2026-01-01') to ('2026-02-01')",
        ids,
      );
      expect(await texts(session, 'select * from events')).toEqual(['(1,2026-01-05)']);
    });

    test('parent and child', async () => {
      const make =
        'create table base (id int primary key, a text); create table child (b text) inherits (base)';
      await session.query(
        `${make}; insert into base values (1, 'x'); insert into child values (2, 'y', 'z')`,
      );
      const ids = await migrate(session, [dropTables('drop table base cascade')]);
      expect((await listVault(session)).map(({ facts }) => facts.copiedBecause)).toEqual([
        undefined,
        undefined,
      ]);
      await rollBack(make, ids);
      expect(await texts(session, 'select * from only base')).toEqual(['(1,x)']);
      expect(await texts(session, 'select * from child')).toEqual(['(2,y,z)']);
    });

    test('DROP … RESTRICT fails as in PostgreSQL, and nothing is left of the attempt', async () => {
      await setUp();
      const plain = await session.query('drop table customers').catch((error: unknown) => error);
      await expect(migrate(session, [dropTables('drop table customers')])).rejects.toMatchObject({
        message: (plain as Error).message,
        details: { sqlstate: '2BP01' },
      });
      expect(await texts(session, "select to_regnamespace('switchback_vault')")).toEqual(['()']);
      expect(await texts(session, 'select count(*) from orders')).toEqual(['(5)']);
    });
  });

  describe('a dropped column', () => {
    test('gets its values back by key; what was deleted since is a conflict', async () => {
      await session.query(
        "create type mood as enum ('sad', 'glad'); create table p (id int primary key, mood mood, n int default 7); insert into p values (1, 'sad', 1), (2, null, 2), (3, 'glad', 3)",
      );
      const ids = await migrate(session, [
        dropColumns('p', ['mood', 'n'], 'alter table p drop column mood, drop column n'),
        'drop type mood',
      ]);
      await session.query('delete from p where id = 1; insert into p values (4)');
      const [outcome] = await rollBack(
        "create type mood as enum ('sad', 'glad'); alter table p add mood mood, add n int",
        ids,
      );
      expect(outcome).toMatchObject({ kind: 'column', restored: 2, conflicts: { rowGone: 1 } });
      expect(await texts(session, 'select * from p')).toEqual(['(2,,2)', '(3,glad,3)', '(4,,)']);
      expect(outcome?.examples).toMatchObject([
        { reason: 'rowGone', kept: { key_1: '1', value_1: 'sad', value_2: '1' } },
      ]);
    });

    test('is not written over what is there now, unless nobody can have written it', async () => {
      await session.query('create table p (id int primary key, n int); insert into p values (1, 1), (2, 2)');
      const ids = await migrate(session, [dropColumns('p', ['n'], 'alter table p drop column n')]);
      await session.query('alter table p add n int default 5; update p set n = null where id = 2');
      expect(await rollBack('', ids)).toMatchObject([{ restored: 1, conflicts: { changedSince: 1 } }]);
      expect(await rollBack('', ids, { made: new Map(ids.map((id) => [id, 'added'])) })).toMatchObject([
        { restored: 1, present: 1, conflicts: {} },
      ]);
      expect(await texts(session, 'select * from p')).toEqual(['(1,1)', '(2,2)']);
    });

    test('the key itself, and a table without any', async () => {
      await session.query(
        "create table p (id int primary key, a text); insert into p values (1, 'x'), (2, 'x'), (3, 'y')",
      );
      const ids = await migrate(session, [dropColumns('p', ['id'], 'alter table p drop column id')]);
      await session.query("insert into p values ('z'); delete from p where a = 'y'");
      const [outcome] = await rollBack('alter table p add id int', ids);
      expect(outcome).toMatchObject({ restored: 2, conflicts: { rowGone: 1 } });
      expect(await texts(session, 'select id, a from p')).toEqual(['(,z)', '(1,x)', '(2,x)']);
    });

    test('of a parent, with its children', async () => {
      await session.query(`create table base (id int primary key, a text); create table child (b text) inherits (base);
        insert into base values (1, 'x'); insert into child values (1, 'y', 'z')`);
      const ids = await migrate(session, [dropColumns('base', ['a'], 'alter table base drop column a')]);
      await rollBack('alter table base add a text', ids);
      expect(await texts(session, 'select id, a from only base')).toEqual(['(1,x)']);
      expect(await texts(session, 'select id, a, b from child')).toEqual(['(1,y,z)']);
    });

    test('that a DROP TYPE … CASCADE takes', async () => {
      await session.query(
        "create type mood as enum ('sad'); create table p (id int primary key, mood mood, moods mood[]); insert into p values (1, 'sad', '{sad}')",
      );
      const ids = await migrate(session, [drop('drop type mood cascade')]);
      await rollBack("create type mood as enum ('sad'); alter table p add mood mood, add moods mood[]", ids);
      expect(await texts(session, 'select * from p')).toEqual(['(1,sad,{sad})']);
    });
  });

  describe('a column of another type', () => {
    test('gets back what was cut off, where nobody changed it', async () => {
      await session.query(
        "create table p (id int primary key, t timestamptz, n numeric(10,4)); insert into p select n, '2026-01-01 10:00:00.123Z'::timestamptz + n * interval '1 day', n + 0.1234 from generate_series(1, 3) n",
      );
      const before = await texts(session, 'select * from p');
      const ids = await migrate(session, [
        changeType('p', ['t', 'n'], 'alter table p alter t type date, alter n type int'),
      ]);
      await session.query('update p set n = 77 where id = 2');
      const [outcome] = await rollBack(
        'alter table p alter t type timestamptz, alter n type numeric(10,4)',
        ids,
      );
      expect(outcome).toMatchObject({ kind: 'values', restored: 2, conflicts: { changedSince: 1 } });
      const after = await texts(session, 'select * from p');
      expect([after[0], after[2]]).toEqual([before[0], before[2]]);
      expect(after[1]).toContain('77.0000');
    });

    test('an enum label that goes keeps its rows', async () => {
      await session.query(
        "create type s as enum ('a', 'b', 'c'); create table p (id int primary key, s s); insert into p values (1, 'a'), (2, 'c'), (3, 'c')",
      );
      const ids = await migrate(session, [
        "create type s2 as enum ('a', 'b')",
        changeType(
          'p',
          ['s'],
          "alter table p alter s type s2 using (case s when 'c' then 'b' else s::text end)::s2",
          ['c'],
        ),
        'drop type s',
      ]);
      await session.query("update p set s = 'a' where id = 3");
      const [outcome] = await rollBack(
        "create type s as enum ('a', 'b', 'c'); alter table p alter s type s using s::text::s",
        ids,
      );
      expect(outcome).toMatchObject({ kind: 'label', restored: 1, conflicts: { changedSince: 1 } });
      expect(await texts(session, 'select * from p')).toEqual(['(1,a)', '(2,c)', '(3,a)']);
    });
  });

  describe('rows', () => {
    const setUp = (): Promise<unknown> =>
      session.query(`create table a (id int primary key, n int, j json, f float8, at timestamptz);
        create table b (id int primary key, a int references a on delete cascade on update cascade, note text);
        create table c (id int primary key, b int references b on delete set null);
        insert into a select n, n, '{"x" :  1}', n / 3.0, '2026-01-01Z' from generate_series(1, 4) n;
        insert into b select n, n, 'b' || n from generate_series(1, 4) n;
        insert into c select n, n from generate_series(1, 4) n`);
    const all = async (): Promise<string[][]> => [
      await texts(session, 'select * from a'),
      await texts(session, 'select * from b'),
      await texts(session, 'select * from c'),
    ];

    test('that a DELETE takes, cascades included, come back', async () => {
      await setUp();
      const before = await all();
      const ids = await migrate(session, [
        "set datestyle = 'SQL, DMY'",
        changes(['a'], 'delete from a where id > 2'),
      ]);
      expect((await listVault(session)).map(({ table, rows }) => [table, rows])).toEqual([
        ['a', 2],
        ['b', 2],
        ['c', 2],
      ]);
      await session.query('reset datestyle');
      const outcomes = await rollBack('', ids);
      expect(conflictsOf(outcomes)).toEqual([{}, {}, {}]);
      expect(await all()).toEqual(before);
    });

    test('that an UPDATE changes get their values back, but for what was changed since', async () => {
      await setUp();
      const ids = await migrate(session, [changes(['a'], 'update a set n = n * 10, f = 0')]);
      await session.query(
        "update a set n = 5 where id = 1; delete from a where id = 2; update a set at = '2027-01-01Z' where id = 3",
      );
      const outcomes = await rollBack('', ids);
      expect(outcomes).toMatchObject([
        { table: 'a', restored: 2, conflicts: { changedSince: 1, rowGone: 1 } },
      ]);
      expect(await texts(session, 'select id, n, f::numeric(4,2) as f from a')).toEqual([
        '(1,5,0.00)',
        '(3,3,1.00)',
        '(4,4,1.33)',
      ]);
    });

    test('that an INSERT adds are taken out, but for those that are used', async () => {
      await setUp();
      const ids = await migrate(session, [
        changes(
          ['a', 'b'],
          'with x as (insert into a (id) values (10), (11), (12) returning id) select * from x',
        ),
      ]);
      await session.query("insert into b values (10, 10, 'mine'); update a set n = 1 where id = 11");
      const outcomes = await rollBack('', ids);
      expect(outcomes).toMatchObject([
        { table: 'a', restored: 1, conflicts: { referencedSince: 1, changedSince: 1 } },
      ]);
      expect(await texts(session, 'select id from a where id > 4')).toEqual(['(10)', '(11)']);
    });

    test('whose key an UPDATE changes', async () => {
      await setUp();
      const before = await all();
      const ids = await migrate(session, [changes(['a'], 'update a set id = id + 100')]);
      const outcomes = await rollBack('', ids);
      expect(conflictsOf(outcomes).filter((one) => Object.keys(one).length > 0)).toEqual([]);
      expect(await all()).toEqual(before);
    });

    test('of a table without a key', async () => {
      await session.query(
        "create table log (n int, note text); insert into log values (1, 'a'), (1, 'a'), (2, null), (null, null)",
      );
      const before = await texts(session, 'select * from log');
      const ids = await migrate(session, [
        changes(['log'], "update log set note = 'x' where n = 1"),
        changes(['log'], 'delete from log where n is null or n = 2'),
      ]);
      expect(conflictsOf(await rollBack('', ids))).toEqual([{}, {}]);
      expect(await texts(session, 'select * from log')).toEqual(before);
    });

    test('that a TRUNCATE … CASCADE takes, and where its sequence stood', async () => {
      await session.query(
        'create table a (id serial primary key, n int); create table b (id int primary key, a int references a); insert into a (n) select 1 from generate_series(1, 5); insert into b values (1, 1)',
      );
      const ids = await migrate(session, [truncate(['a'], 'truncate a restart identity cascade')]);
      await session.query('insert into a (n) values (99)');
      const outcomes = await rollBack('', ids);
      expect(outcomes.map(({ table, restored, conflicts }) => [table, restored, conflicts])).toEqual([
        ['b', 1, {}],
        ['a', 4, { keyReused: 1 }],
      ]);
      expect(await texts(session, "select nextval('a_id_seq')")).toEqual(['(6)']);
    });

    test('triggers of the application see nothing of a restore, and go on as they were', async () => {
      await setUp();
      await session.query(`create table seen (what text); create function see() returns trigger language plpgsql as $$ begin insert into seen values (tg_op); return new; end $$;
        create trigger see before insert or update on a for each row execute function see();
        create trigger off before insert on a for each row execute function see(); alter table a disable trigger off;
        create trigger always after insert on a for each row execute function see(); alter table a enable always trigger always`);
      const ids = await migrate(session, [changes(['a'], 'delete from a where id = 1')]);
      const states = await texts(
        session,
        "select tgname, tgenabled from pg_trigger where tgrelid = 'a'::regclass and not tgisinternal",
      );
      await rollBack('', ids);
      expect(await texts(session, 'select * from seen')).toEqual([]);
      expect(
        await texts(
          session,
          "select tgname, tgenabled from pg_trigger where tgrelid = 'a'::regclass and not tgisinternal",
        ),
      ).toEqual(states);
    });

    test("that the application's own triggers change with them", async () => {
      await setUp();
      await session.query(`create function also() returns trigger language plpgsql as $$ begin update c set b = null where id = old.id; return null; end $$;
        create trigger also after delete on a for each row execute function also()`);
      const before = await all();
      const ids = await migrate(session, [changes(['a'], 'delete from a where id = 1')]);
      await rollBack('', ids);
      expect(await all()).toEqual(before);
    });

    test('while deferred constraints wait', async () => {
      await setUp();
      await session.query(
        'create table d (id int primary key, a int references a deferrable initially deferred); insert into d values (1, 1)',
      );
      const ids = await migrate(session, [
        changes(['a', 'd'], 'delete from a where id = 1'),
        changes(['d'], 'delete from d'),
      ]);
      expect(await texts(session, "select tgname from pg_trigger where tgname like '%switchback%'")).toEqual(
        [],
      );
      expect(
        await texts(
          session,
          "select proname from pg_proc where pronamespace = 'switchback_vault'::regnamespace",
        ),
      ).toEqual([]);
      await rollBack('', ids);
      expect(await texts(session, 'select * from d')).toEqual(['(1,1)']);
    });

    test('that a DO block drops, empties and changes', async () => {
      await setUp();
      await session.query('create table e (id int primary key); insert into e values (1)');
      const before = await all();
      const ids = await migrate(session, [
        opaque(
          ['a'],
          'do $$ begin drop table e; truncate c; alter table b drop column note; update a set n = 0; end $$',
        ),
      ]);
      await rollBack('create table e (id int primary key); alter table b add note text', ids);
      expect(await all()).toEqual(before);
      expect(await texts(session, 'select * from e')).toEqual(['(1)']);
    });

    test('a trigger that hides what it writes is refused where PostgreSQL does not count it', async () => {
      await setUp();
      await session.query('set track_counts = off');
      await session.query(
        `create function hide() returns trigger language plpgsql as $$ begin execute 'delete from b'; return null; end $$; create trigger hide after delete on a execute function hide()`,
      );
      await expect(migrate(session, [changes(['a'], 'delete from a')])).rejects.toMatchObject({
        code: 'VAULT_CANNOT_KEEP',
      });
    });
  });

  test('a dropped sequence goes on where it stood', async () => {
    await session.query("create sequence s increment 5; select nextval('s'), nextval('s')");
    const ids = await migrate(session, [drop('drop sequence s')]);
    await rollBack('create sequence s increment 5', ids);
    expect(await texts(session, "select nextval('s')")).toEqual(['(11)']);
  });
});
