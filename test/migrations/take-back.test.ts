/** For each way of losing data: deployed, written to, taken back by a rollback that was written by hand. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createDatabase } from '../support/postgres.ts';
import { bundleOf, deploy, historyOf, once, openClient, reversalsOf, rollBack, rowsOf } from './deploy.ts';
import { prismaEngine } from './prisma-engine.ts';

let url: string;
let drop: () => Promise<void>;

beforeEach(async () => {
  ({ url, drop } = await createDatabase());
});
afterEach(() => drop());

const seed = {
  '1_seed': `create table a (id int primary key, n text not null, m int);
    create table b (id serial primary key, a int references a on delete cascade);
    insert into a select i, 'n' || i, i * 10 from generate_series(1, 3) i;
    insert into b (a) select i from generate_series(1, 3) i`,
};

/** Rows of a query, each as text. */
const texts = async (sql: string): Promise<string[]> =>
  (await rowsOf<{ row: string }>(url, `select t::text as row from (${sql}) t order by 1`)).map(
    ({ row }) => row,
  );

interface Case {
  readonly what: string;
  readonly forth: string;
  /** What the application writes after it. */
  readonly meanwhile: string;
  readonly back: string;
  /** What is there in the end: by default, what was there before. */
  readonly look: string;
  readonly expected: readonly string[];
}

const cases: readonly Case[] = [
  {
    what: 'DROP TABLE',
    forth: 'drop table b',
    meanwhile: "insert into a values (4, 'n4')",
    back: 'create table b (id serial primary key, a int references a on delete cascade)',
    look: 'select id, a from b',
    expected: ['(1,1)', '(2,2)', '(3,3)'],
  },
  {
    what: 'DROP TABLE whose constraint is called as those of others are',
    forth: 'drop table b',
    meanwhile: `insert into a values (4, 'n4'); create table c (id int unique, a int constraint one references a, constraint b_a_fkey check (a > 0));
      create table d (a int constraint b_a_fkey references a)`,
    back: 'create table b (id serial primary key, a int constraint b_a_fkey references a on delete cascade)',
    look: 'select b.id, a, conname from b, pg_constraint where conrelid = $$b$$::regclass and contype = $$f$$ and not condeferrable',
    expected: ['(1,1,b_a_fkey)', '(2,2,b_a_fkey)', '(3,3,b_a_fkey)'],
  },
  {
    what: 'DROP COLUMN that was NOT NULL',
    forth: 'alter table a drop column n',
    meanwhile: 'insert into a values (4); update a set m = 11 where id = 1',
    back: `alter table a add column n text;
-- switchback: restore
alter table a alter column n set not null`,
    look: 'select id, m, n from a',
    expected: ['(1,11,n1)', '(2,20,n2)', '(3,30,n3)', '(4,,)'],
  },
  {
    what: 'DROP COLUMN with an old default',
    forth: 'alter table a drop column n',
    meanwhile: 'insert into a values (4)',
    back: "alter table a add column n text not null default 'old'",
    look: 'select id, n from a',
    expected: ['(1,n1)', '(2,n2)', '(3,n3)', '(4,old)'],
  },
  {
    what: 'a type that is narrowed',
    forth: 'alter table a alter column n type varchar(1) using left(n, 1)',
    meanwhile: "update a set n = 'x' where id = 2",
    back: 'alter table a alter column n type text',
    look: 'select id, n from a',
    expected: ['(1,n1)', '(2,x)', '(3,n3)'],
  },
  {
    what: 'a type that has no cast back',
    forth: 'alter table a alter column n type int using length(n)',
    meanwhile: 'insert into a values (4, 9)',
    back: 'alter table a alter column n drop not null, alter column n type text using null',
    look: 'select id, n from a',
    expected: ['(1,n1)', '(2,n2)', '(3,n3)', '(4,)'],
  },
  {
    what: 'TRUNCATE',
    forth: 'truncate a cascade',
    meanwhile: "insert into a values (4, 'n4')",
    back: 'select 1',
    look: 'select id, n from a',
    expected: ['(1,n1)', '(2,n2)', '(3,n3)', '(4,n4)'],
  },
  {
    what: 'DELETE, and what cascades from it',
    forth: 'delete from a where id > 1',
    meanwhile: "insert into a values (3, 'again')",
    back: '',
    look: 'select a.id, n, b.id as b from a left join b on b.a = a.id',
    expected: ['(1,n1,1)', '(2,n2,2)', '(3,again,3)'],
  },
  {
    what: 'UPDATE',
    forth: 'update a set m = m + 1',
    meanwhile: 'update a set m = 7 where id = 3',
    back: '',
    look: 'select id, m from a',
    expected: ['(1,10)', '(2,20)', '(3,7)'],
  },
  {
    what: 'INSERT',
    forth: "insert into a values (4, 'n4'), (5, 'n5') on conflict (id) do update set n = 'clash'",
    meanwhile: "update a set n = 'used' where id = 5",
    back: '',
    look: 'select id, n from a',
    expected: ['(1,n1)', '(2,n2)', '(3,n3)', '(5,used)'],
  },
  {
    what: 'MERGE',
    forth: `merge into a using (values (1), (9)) v(id) on v.id = a.id when matched then delete when not matched then insert values (v.id, 'new')`,
    meanwhile: 'select 1',
    back: '',
    look: 'select id, n from a',
    expected: ['(1,n1)', '(2,n2)', '(3,n3)'],
  },
  {
    what: 'a DELETE inside a WITH',
    forth:
      "with gone as (delete from b returning *) update a set n = 'gone' where id in (select a from gone where id = 1)",
    meanwhile: 'select 1',
    back: '',
    look: 'select a.id, n, b.id as b from a join b on b.a = a.id',
    expected: ['(1,n1,1)', '(2,n2,2)', '(3,n3,3)'],
  },
  {
    what: 'a DO block',
    forth:
      "do $$ declare t text; begin drop table b; select relname into t from pg_class where relname = 'a'; execute 'delete from ' || t || ' where id = 3'; end $$",
    meanwhile: 'select 1',
    back: 'create table b (id serial primary key, a int references a on delete cascade)',
    look: 'select a.id, n, b.id as b from a join b on b.a = a.id',
    expected: ['(1,n1,1)', '(2,n2,2)', '(3,n3,3)'],
  },
  {
    what: 'a function that writes',
    forth:
      "create function f() returns void language sql as $$ update a set n = 'f' $$; select f(); drop function f()",
    meanwhile: 'select 1',
    back: '',
    look: 'select id, n from a',
    expected: ['(1,n1)', '(2,n2)', '(3,n3)'],
  },
  {
    what: 'DROP SCHEMA … CASCADE',
    forth: 'drop schema other cascade',
    meanwhile: 'select 1',
    back: 'create schema other; create table other.c (id int primary key)',
    look: 'select id from other.c',
    expected: ['(1)', '(2)'],
  },
  {
    what: 'DROP TYPE … CASCADE, with the columns that have it',
    forth: 'drop type mood cascade',
    meanwhile: 'select 1',
    back: "create type mood as enum ('good', 'bad'); alter table moods add column mood mood",
    look: 'select id, mood from moods',
    expected: ['(1,good)', '(2,bad)'],
  },
  {
    what: 'setval and RESTART',
    forth: 'alter sequence b_id_seq restart; create sequence other_seq',
    meanwhile: 'select 1',
    back: 'drop sequence other_seq',
    look: "select nextval('b_id_seq')",
    expected: ['(4)'],
  },
  {
    what: 'a label of an enum, whose type is made anew',
    forth: `create type mood_new as enum ('good');
      alter table moods alter column mood type mood_new using (case mood when 'bad' then 'good' else mood::text end)::mood_new;
      drop type mood; alter type mood_new rename to mood`,
    meanwhile: "insert into moods values (3, 'good')",
    back: `alter type mood rename to mood_old; create type mood as enum ('good', 'bad');
      alter table moods alter column mood type mood using mood::text::mood; drop type mood_old`,
    look: 'select id, mood from moods',
    expected: ['(1,good)', '(2,bad)', '(3,good)'],
  },
];

const more = `create schema other; create table other.c (id int primary key); insert into other.c values (1), (2);
  create type mood as enum ('good', 'bad'); create table moods (id int primary key, mood mood); insert into moods values (1, 'good'), (2, 'bad')`;

describe('what a migration removes comes back', () => {
  test.each(cases)('$what', async ({ forth, meanwhile, back, look, expected }) => {
    const files = { '1_seed': `${seed['1_seed']}; ${more}` };
    await deploy(url, files);
    const [outcome] = await deploy(url, { ...files, '2_b': forth }, { vault: {} });
    expect(outcome?.kept.length).toBeGreaterThan(0);
    await rowsOf(url, meanwhile);
    const [taken] = await rollBack(url, { '2_b': back });
    expect(taken?.restored.map(({ id }) => id).sort()).toEqual([...(outcome?.kept ?? [])].sort());
    expect(await texts(look)).toEqual(expected);
    expect(
      (await historyOf(url)).map(({ name, finished, rolledBack }) => [name, finished, rolledBack]),
    ).toEqual([
      ['1_seed', true, false],
      ['2_b', true, true],
    ]);
  });
});

const before = { '1_seed': `${seed['1_seed']}; ${more}` };

describe('a rollback', () => {
  test('keeps what it removes itself: a deployment that takes it back gets that again', async () => {
    const added = {
      ...before,
      '2_b':
        'create table c (id int primary key); alter table a add column x int, add column y int not null default 5',
    };
    await deploy(url, before);
    await deploy(url, added, { vault: {} });
    await rowsOf(url, 'insert into c values (1), (2); update a set x = id, y = id where id > 1');
    const way = 'drop table c; alter table a drop column x, drop column y';
    const [taken] = await rollBack(url, { '2_b': way });
    expect(taken?.kept).toHaveLength(2);
    await rowsOf(url, "delete from a where id = 2; insert into a values (4, 'n4')");
    await expect(deploy(url, added, { vault: {} })).rejects.toMatchObject({ code: 'MIGRATION_ROLLED_BACK' });
    const [again] = await deploy(url, added, {
      vault: { operation: 'second' },
      restore: true,
      allow: [{ code: 'MIGRATION_ROLLED_BACK', reason: 'it was not to blame' }],
    });
    expect(again?.restored.map(({ table, restored, conflicts }) => [table, restored, conflicts])).toEqual([
      ['a', 1, { rowGone: 1 }],
      ['c', 2, {}],
    ]);
    expect(await texts('select id, x, y from a')).toEqual(['(1,,5)', '(3,3,3)', '(4,,5)']);
    expect(await texts('select id from c')).toEqual(['(1)', '(2)']);
    // What was given back once is not given back again.
    await rollBack(
      url,
      { '2_b': 'drop table c; alter table a drop column x' },
      { vault: { operation: 'third' } },
    );
    expect(await prismaEngine(url).diagnose(await bundleOf(added))).toMatchObject({
      pending: ['2_b'],
      failed: [],
    });
  });

  test('gives back what the last run removed, not what an earlier one did', async () => {
    const files = { ...before, '2_b': 'delete from a where id = 1' };
    const again = { allow: [{ code: 'MIGRATION_ROLLED_BACK', reason: 'again and again' }] };
    await deploy(url, before);
    await deploy(url, files, { vault: { operation: 'first' } });
    // Somebody took it back by hand, and the row stays gone.
    await rowsOf(url, "update _prisma_migrations set rolled_back_at = now() where migration_name = '2_b'");
    await deploy(url, files, { vault: { operation: 'second' }, ...again });
    const [taken] = await rollBack(url, { '2_b': '' });
    expect(taken?.restored).toEqual([]);
    expect(await texts('select id from a')).toEqual(['(2)', '(3)']);
  });

  test('leaves out what somebody else has changed, counts it, and says where it is', async () => {
    await deploy(url, before);
    await deploy(
      url,
      { ...before, '2_b': 'alter table a alter column n type int using length(n)' },
      { vault: {} },
    );
    await rowsOf(
      url,
      'update a set n = 77 where id = 2; delete from a where id = 3; insert into a values (9, 9)',
    );
    const [taken] = await rollBack(url, {
      '2_b': `alter table a alter column n drop not null, alter column n type text using null;
-- switchback: restore
alter table a alter column n set not null, alter column id set not null`,
    });
    expect(taken?.restored).toMatchObject([
      { table: 'a', restored: 1, conflicts: { rowGone: 1, changedSince: 1 } },
    ]);
    expect(await texts('select id, n from a')).toEqual(['(1,n1)', '(2,)', '(9,)']);
    expect(taken?.leftNullable).toEqual([{ table: '"a"', column: 'n', rows: 2 }]);
    // What was there just before the rollback is kept as well.
    const [own] = await rowsOf<{ relation: string }>(
      url,
      "select relation from switchback_vault.entry where direction = 'back'",
    );
    expect(await texts(`select key_1, value_1 from switchback_vault.${own?.relation}`)).toEqual([
      '(1,2)',
      '(2,77)',
      '(9,9)',
    ]);
  });

  const strict = {
    '1_seed': `${seed['1_seed']}; alter table a add constraint positive check (m > 0), add constraint one unique (n);
      create unique index two on a (lower(n), m) where m > 1; create table c (x int, y int, primary key (x, y))`,
  };

  test('leaves a CHECK and a foreign key NOT VALID where rows written since do not hold to them', async () => {
    const free = 'alter table a drop constraint positive; alter table b drop constraint b_a_fkey';
    await deploy(url, strict);
    await deploy(url, { ...strict, '2_b': free }, { vault: {} });
    await rowsOf(url, "insert into a values (4, 'n4', -1), (5, 'n5', -2), (6, 'n6', null)");
    await rowsOf(url, 'insert into b (a) values (77), (null), (4)');
    const [taken] = await rollBack(url, {
      '2_b': `alter table a add constraint positive check (m > 0);
        alter table public.b add constraint b_a_fkey foreign key (a) references a on delete cascade`,
    });
    expect(taken).toMatchObject({
      leftUnvalidated: [
        { table: '"a"', constraint: 'positive', rows: 2 },
        { table: '"public"."b"', constraint: 'b_a_fkey', rows: 1 },
      ],
      leftOut: [],
    });
    await expect(rowsOf(url, "insert into a values (7, 'n7', -3)")).rejects.toThrow('positive');
    await expect(rowsOf(url, 'insert into b (a) values (78)')).rejects.toThrow('b_a_fkey');
  });

  test('stops at keys that are not unique any more, or goes on without them where that is allowed', async () => {
    const free =
      'alter table a drop constraint one; drop index two; alter table c drop constraint c_pkey, alter y drop not null';
    await deploy(url, strict);
    await deploy(url, { ...strict, '2_b': free }, { vault: {} });
    await rowsOf(
      url,
      "insert into a values (4, 'n1', 5), (5, 'N1', 5), (6, 'n1', 5), (7, 'n2', 6), (8, 'n3', 1)",
    );
    await rowsOf(url, 'insert into c values (1, null), (1, null), (2, 2), (2, 2)');
    const back = {
      '2_b': `alter table a add constraint one unique (n); create unique index two on a (lower(n), m) where m > 1;
        alter table c add primary key (x, y); alter table c add constraint c_pkey primary key (x, y)`,
    };
    const thrown = await rollBack(url, back).catch((error: unknown) => error);
    expect(thrown).toMatchObject({
      code: 'ROLLBACK_DUPLICATES',
      message: expect.stringContaining(
        'one of "a" cannot be there again: 3 value(s) stand there more than once, in 7 rows.',
      ),
      details: { detail: '(n1): 3 rows\n(n2): 2 rows\n(n3): 2 rows' },
    });
    expect(String(thrown)).not.toMatch(/n1/);
    expect((await historyOf(url)).map(({ rolledBack }) => rolledBack)).toEqual([false, false]);
    const [taken] = await rollBack(
      url,
      { '2_b': back['2_b'].replace('alter table c add primary key (x, y);', '') },
      { allow: [{ code: 'ROLLBACK_DUPLICATES', reason: 'sorted out tomorrow' }] },
    );
    expect(taken?.leftOut).toEqual([
      { table: '"a"', name: 'one', values: 3, rows: 7, without: 0 },
      { table: '"a"', name: 'two', values: 1, rows: 3, without: 0 },
      { table: '"c"', name: 'c_pkey', values: 1, rows: 2, without: 2 },
    ]);
  });

  test('passes over nothing: what was changed in a table that is gone is counted, and stays in the vault', async () => {
    await deploy(url, before);
    await deploy(url, { ...before, '2_b': 'delete from b where id < 3' }, { vault: {} });
    const [taken] = await rollBack(url, { '2_b': 'drop table b' });
    expect(taken?.restored).toMatchObject([{ table: 'b', restored: 0, conflicts: { tableGone: 2 } }]);
    expect(taken?.restored[0]?.examples[0]).toMatchObject({ kept: { op: 'D' } });
    expect(await texts("select state, rows from switchback_vault.entry where direction = 'forth'")).toEqual([
      '(restored,2)',
    ]);
  });

  test('has nothing to give back of a table that the migration itself has made', async () => {
    await deploy(url, before);
    const [outcome] = await deploy(
      url,
      {
        ...before,
        '2_b': `create table log (id int);
          create function log() returns trigger language plpgsql as $$ begin insert into log values (old.id); return null; end $$;
          create trigger log after delete on a for each row execute function log(); delete from a where id = 1;
          delete from a where id = 2; drop table log, b`,
      },
      { vault: {} },
    );
    expect(outcome?.kept).toHaveLength(5);
    const [taken] = await rollBack(url, {
      '2_b': `drop trigger log on a; drop function log();
        create table b (id serial primary key, a int references a on delete cascade)`,
    });
    expect(taken?.restored.map(({ table, restored, conflicts }) => [table, restored, conflicts])).toEqual([
      ['b', 1, {}],
      ['b', 1, {}],
      ['a', 1, {}],
      ['b', 1, {}],
      ['a', 1, {}],
    ]);
    expect(await texts('select id, a from b')).toEqual(['(1,1)', '(2,2)', '(3,3)']);
  });

  test('undoes changes of rows at a marker before the last, but for what somebody else has changed', async () => {
    await deploy(url, before);
    await deploy(
      url,
      {
        ...before,
        '2_b':
          'alter table a rename n to k; alter table a alter column k type int using length(k); update a set k = k * 10',
      },
      { vault: {} },
    );
    await rowsOf(url, 'update a set k = 77 where id = 2');
    const [taken] = await rollBack(url, {
      '2_b': `alter table a rename k to n;
-- switchback: restore
alter table a alter column n drop not null, alter column n type text using null;
-- switchback: restore
alter table a alter column n set not null`,
    });
    expect(taken?.restored.map(({ kind, restored, conflicts }) => [kind, restored, conflicts])).toEqual([
      ['changes', 2, { changedSince: 1 }],
      ['values', 2, { changedSince: 1 }],
    ]);
    expect(await texts('select id, n from a')).toEqual(['(1,n1)', '(2,)', '(3,n3)']);
    expect(taken?.leftNullable).toEqual([{ table: '"a"', column: 'n', rows: 1 }]);
  });

  test('runs in the order that is given, and each with what it needs', async () => {
    const files = { ...before, '2_b': 'alter table a rename to z', '3_c': 'alter table z drop column m' };
    await deploy(url, before);
    await deploy(url, files, { vault: {} });
    const events: string[] = [];
    await rollBack(
      url,
      { '3_c': 'alter table z add column m int', '2_b': 'alter table z rename to a' },
      {
        report: (event) =>
          event.type === 'migration started' && events.push(`${event.migration} ${event.index}/${event.of}`),
      },
    );
    expect(events).toEqual(['3_c 1/2', '2_b 2/2']);
    expect(await texts('select id, m from a')).toEqual(['(1,10)', '(2,20)', '(3,30)']);
  });

  test('of what is not applied as it was is refused, and nothing is done', async () => {
    const files = { ...before, '2_b': 'create table c ()' };
    await deploy(url, files);
    const [reversal] = await reversalsOf(url, { '2_b': 'drop table c' });
    if (reversal === undefined) throw new Error('no reversal');
    for (const wrong of [{ historyId: 'gone' }, { name: '1_seed' }, { checksum: 'other' }])
      await expect(rollBack(url, {}, { reversals: [{ ...reversal, ...wrong }] })).rejects.toMatchObject({
        code: 'MIGRATION_NOT_APPLIED',
      });
    await rollBack(url, {}, { reversals: [reversal] });
    await expect(rollBack(url, {}, { reversals: [reversal] })).rejects.toMatchObject({
      code: 'MIGRATION_NOT_APPLIED',
      message: expect.stringContaining('it was taken back on'),
    });
  });

  test('whose text does not parse, or lets go of the locks, is refused', async () => {
    await deploy(url, before);
    await expect(rollBack(url, { '1_seed': 'drop tables' })).rejects.toMatchObject({
      code: 'MIGRATION_UNPARSABLE',
    });
    await expect(rollBack(url, { '1_seed': 'discard all' })).rejects.toMatchObject({
      code: 'MIGRATION_DROPS_LOCKS',
    });
  });

  test('takes a marker inside a text of a function for what it is', async () => {
    await deploy(url, before);
    await deploy(url, { ...before, '2_b': 'delete from b' }, { vault: {} });
    await rollBack(url, {
      '2_b': `create function f() returns text language sql as $$ select '
-- switchback: restore
' $$;
create table seen as select count(*) from b`,
    });
    expect(await texts('select * from seen')).toEqual(['(0)']);
    expect(await texts('select id from b')).toHaveLength(3);
  });

  test('tries again what waits for locks, and puts the data back once', async () => {
    await deploy(url, before);
    await deploy(url, { ...before, '2_b': 'truncate b' }, { vault: {} });
    const other = await openClient(url);
    await other.query('begin; lock table b in share mode');
    const [taken] = await rollBack(
      url,
      { '2_b': '' },
      {
        lockTimeoutMs: 100,
        lockBudgetMs: 30_000,
        report: once(
          ({ type }) => type === 'remark',
          () => void other.close(),
        ),
      },
    );
    expect(taken?.tries).toBeGreaterThan(1);
    expect(taken?.restored).toMatchObject([{ table: 'b', restored: 3 }]);
    expect(await texts('select id from b')).toHaveLength(3);
  });
});
