/** Rows that a migration changes by ways that its text does not show are kept all the same: PostgreSQL counts them. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createDatabase } from '../support/postgres.ts';
import { type DeployOptions, deploy, rollBack, rowsOf } from './deploy.ts';

let url: string;
let drop: () => Promise<void>;

beforeEach(async () => {
  ({ url, drop } = await createDatabase());
});
afterEach(() => drop());

const seed = `create table a (id int primary key, n text); insert into a values (1, 'x'), (2, 'y');
  create table k (i int primary key); insert into k values (1);
  create function purge() returns int language sql as $$ delete from a where id = 1 returning 1 $$;
  create function purge(int) returns int language sql as $$ delete from a where id = 1; select 1 $$`;

const content = async (): Promise<unknown> => ({
  a: await rowsOf(url, 'select id, n from a order by id'),
  k: await rowsOf(url, 'select i from k order by i'),
});

/** Deploys one migration over the seed, and takes it back by a text, or none. */
async function forthAndBack(sql: string, back = '', more = '', options: Partial<DeployOptions> = {}) {
  const files = { '1_seed': `${seed}; ${more}` };
  await deploy(url, files);
  const before = await content();
  const [outcome] = await deploy(url, { ...files, '2_b': sql }, { vault: {}, ...options });
  const between = await content();
  await rollBack(url, { '2_b': back });
  return { before, between, after: await content(), outcome };
}

interface Case {
  readonly what: string;
  readonly sql: string;
  readonly back?: string;
  readonly more?: string;
}

const cases: readonly Case[] = [
  {
    what: 'a DO block with comment marks in a literal',
    sql: `do $$ begin if not exists (select 1 from a where n = '--') then delete from a where id = 1; end if; end $$`,
  },
  {
    what: 'a DO block between two literals that look like a comment',
    sql: `do $$ declare p text := 'a/*'; begin delete from a where id = 1; p := '*/'; end $$`,
  },
  {
    what: 'a function called in capitals',
    sql: 'do $$ declare x int; begin x := Purge(); end $$',
  },
  {
    what: 'an UPDATE of a new column by a function that writes',
    sql: 'alter table k add column x int; update k set x = purge(1)',
    back: 'alter table k drop column x',
  },
  {
    what: 'a view that the file makes',
    sql: "create view v as select * from a; update v set n = 'lost' where id = 1; drop view v",
  },
  {
    what: 'a view that calls a function',
    sql: 'create table c as select * from v',
    more: 'create view v as select purge() as p',
    back: 'drop table c',
  },
  {
    what: 'a trigger of a new table that has another name since',
    sql: `create table c0 (id int); create trigger f before insert on c0 for each row execute function f();
      alter table c0 rename to c; insert into c values (1)`,
    more: `create function f() returns trigger language plpgsql as $$ begin update a set n = 'lost' where id = new.id; return new; end $$`,
    back: 'drop table c',
  },
  {
    what: 'a temporary table that is gone',
    sql: 'create temp table a as select * from public.a; discard temp; delete from a where id = 1',
  },
  {
    what: 'a temporary table that went with its transaction',
    sql: 'begin; create temp table a (id int) on commit drop; commit; delete from a where id = 1',
  },
  {
    what: 'a new table that was rolled back to a savepoint',
    sql: `begin; savepoint s; alter table a rename to b; create table a (id int, n text); rollback to savepoint s;
      delete from a where id = 1; commit`,
  },
  {
    what: 'EXPLAIN ANALYZE of a prepared statement',
    sql: 'prepare p as delete from a where id = 1 returning id; explain analyze execute p',
  },
  {
    what: 'a cursor over a function that writes',
    sql: 'begin; declare c cursor for select purge(); fetch all from c; close c; commit',
  },
  {
    what: 'a default of a new column',
    sql: 'alter table k add column x int default purge(1)',
    back: 'alter table k drop column x',
  },
  {
    what: 'an expression by which a column gets another type',
    sql: 'alter table k alter column i type bigint using purge(i)',
    back: 'alter table k alter column i type int',
  },
  {
    what: 'an operator',
    sql: 'select 1 ~~~ 2',
    more: `create function del(a int, b int) returns bool language sql as $$ delete from a where id = $1; select true $$;
      create operator ~~~ (leftarg = int, rightarg = int, function = del)`,
  },
  {
    what: 'a foreign key that the file makes',
    sql: `create table c (id int primary key); insert into c values (1), (2);
      alter table a add constraint fk foreign key (id) references c on delete cascade; delete from c where id = 1`,
    back: 'alter table a drop constraint fk; drop table c',
  },
  {
    what: 'a table that a view empties',
    sql: 'create table c as select * from v',
    more: `create function empty() returns int language plpgsql as $$ begin truncate a; return 1; end $$; create view v as select empty() as p`,
    back: 'drop table c',
  },
  {
    what: 'a table that the default of a new column empties',
    sql: 'alter table k add column x int default empty()',
    more: "create function empty() returns int language plpgsql as $$ begin execute 'truncate a'; return 1; end $$",
    back: 'alter table k drop column x',
  },
  {
    what: 'a table that a view drops and makes again',
    sql: 'create table c as select * from v',
    more: `create function remake() returns int language plpgsql as $$ begin
        execute 'drop table a'; execute 'create table a (id int primary key, n text)'; return 1; end $$;
      create view v as select remake() as p`,
    back: 'drop table c',
  },
  {
    what: 'deferred triggers',
    sql: 'delete from k where i = 1; insert into k values (5), (6)',
    more: `create function f() returns trigger language plpgsql as $$ begin update a set n = n || tg_op; return null; end $$;
      create constraint trigger f after insert or update or delete on k deferrable initially deferred for each row execute function f()`,
  },
  {
    what: 'triggers whose text is made when they run',
    sql: 'delete from k where i = 1',
    more: `create function f() returns trigger language plpgsql as $$ begin execute 'delete from ' || chr(97) || ' where id = 1'; return null; end $$;
      create trigger f after delete on k for each row execute function f()`,
  },
  {
    what: 'many statements, of which two do it',
    sql: `create table c (id int); insert into c values (1); insert into c values (2); delete from v where id = 1; insert into c values (3);
      update v set n = 'lost'; drop table c`,
    more: 'create view v as select * from a',
  },
];

describe('comes back', () => {
  test.each(cases)('$what', async ({ sql, back, more }) => {
    const { before, between, after } = await forthAndBack(sql, back, more);
    expect(between).not.toEqual(before);
    expect(after).toEqual(before);
    expect(await rowsOf(url, "select 1 from pg_trigger where tgname like '%switchback%'")).toEqual([]);
  });
});

test('triggers in C that change nothing but the row are in nobody’s way', async () => {
  const { before, after, outcome } = await forthAndBack(
    "update a set n = 'lost'",
    '',
    `alter table a add column v tsvector; create trigger f before update on a for each row
       execute function tsvector_update_trigger(v, 'pg_catalog.english', n);
     create trigger g before update on a for each row execute function suppress_redundant_updates_trigger()`,
  );
  expect(after).toEqual(before);
  expect(outcome?.remarks).toEqual([]);
});

test('what event triggers write is not the migration’s', async () => {
  const { before, after, outcome } = await forthAndBack(
    'create table c (id int); insert into c values (1); delete from a where id = 1; insert into c values (2)',
    'drop table c',
    `create table log (x text); create function et() returns event_trigger language plpgsql as $$ begin insert into public.log values (tg_tag); end $$;
     create event trigger et on ddl_command_end execute function et()`,
  );
  expect(after).toEqual(before);
  expect(outcome).toMatchObject({ unkept: [], remarks: [] });
});

test.each([
  "do $$ begin perform setval('s', 3); end $$",
  "select setval(c.oid, 2) from pg_class c where relname = 's'",
  "insert into k select setval(c.oid, 2) from pg_class c where relname = 's'",
])('a sequence that code sets back goes on where it stood: %s', async (sql) => {
  await forthAndBack(sql, '', "create sequence s; select setval('s', 20)");
  expect(await rowsOf(url, "select nextval('s')::int as n")).toEqual([{ n: 21 }]);
});

describe('what acts outside the database', () => {
  // A sequence counts how often it was called, whatever is rolled back.
  const outside = `create sequence calls; create function dblink_exec(text) returns bigint language sql as $$ select nextval('calls') $$`;
  const calls = () => rowsOf(url, 'select last_value::int as n from calls');

  test('is carried out once, and what it writes here is kept', async () => {
    const { before, between, after } = await forthAndBack(
      "do $$ begin perform dblink_exec('x'); delete from a where id = 1; end $$",
      '',
      outside,
    );
    expect(between).not.toEqual(before);
    expect(after).toEqual(before);
    expect(await calls()).toEqual([{ n: 1 }]);
  });

  test('is not carried out again where it hides what it writes here', async () => {
    const files = {
      '1_seed': `${seed}; ${outside}; create function f() returns bigint language plpgsql as $$ begin execute 'delete from ' || chr(97); return dblink_exec('x'); end $$`,
    };
    await deploy(url, files);
    await expect(deploy(url, { ...files, '2_b': 'select f()' }, { vault: {} })).rejects.toMatchObject({
      code: 'VAULT_CANNOT_KEEP',
      details: { tables: [{ table: 'public.a', rows: 2 }] },
    });
    expect(await rowsOf(url, 'select id from a')).toHaveLength(2);
    expect(await calls()).toEqual([{ n: 1 }]);
  });
});

describe('is refused, and not done', () => {
  const refused = async (sql: string, more: string): Promise<void> => {
    const files = { '1_seed': `${seed}; ${more}` };
    await deploy(url, files);
    const before = await content();
    await expect(deploy(url, { ...files, '2_b': sql }, { vault: {} })).rejects.toMatchObject({
      code: 'VAULT_CANNOT_KEEP',
    });
    expect(await content()).toEqual(before);
  };

  test.each([
    'delete from ft where id = 1',
    'do $$ begin if random() > 2 then delete from public.ft; end if; end $$',
    'truncate ft',
  ])('a change of rows of another server: %s', (sql) =>
    refused(
      sql,
      'create foreign data wrapper w; create server s foreign data wrapper w; create foreign table ft (id int) server s',
    ),
  );

  test('a large object that a trigger takes away', () =>
    refused(
      'update k set i = 2',
      `create table blob (id oid); insert into blob select lo_from_bytea(0, 'x');
       create function f() returns trigger language plpgsql as $$ begin execute 'select lo_unli' || 'nk(id) from blob'; return null; end $$;
       create trigger f after update on k for each row execute function f()`,
    ));
});

test('what is allowed not to be kept is done, and said', async () => {
  const files = {
    '1_seed': `${seed}; create table blob (id oid); insert into blob select lo_from_bytea(0, 'x');
      create function f() returns trigger language plpgsql as $$ begin execute 'select lo_unli' || 'nk(id) from blob'; return null; end $$;
      create trigger f after update on k for each row execute function f()`,
  };
  await deploy(url, files);
  const [outcome] = await deploy(
    url,
    { ...files, '2_b': 'update k set i = 2' },
    { vault: {}, allow: [{ code: 'VAULT_CANNOT_KEEP', reason: 'a test' }] },
  );
  expect(outcome?.unkept).toEqual([expect.stringMatching(/pg_largeobject.*Allowed: a test/)]);
  expect(await rowsOf(url, 'select 1 from pg_largeobject')).toEqual([]);
});

test('a table of somebody else that code only names is left alone', async () => {
  await deploy(url, { '1_seed': seed });
  const name = `deployer_${new URL(url).pathname.slice(1)}`;
  await rowsOf(
    url,
    `create role ${name} login password 'secret'; alter database ${new URL(url).pathname.slice(1)} owner to ${name};
     grant all on schema public to ${name}; alter table a owner to ${name}; alter table _prisma_migrations owner to ${name}; create table note (id int);
     create function f() returns trigger language plpgsql as $$ begin -- a note: keeps it
       new.n := new.n || '!'; return new; end $$;
     create trigger f before update on a for each row execute function f()`,
  );
  const own = new URL(url);
  own.username = name;
  own.password = 'secret';
  try {
    const files = { '1_seed': seed, '2_b': "update a set n = 'z'" };
    expect((await deploy(own.href, files, { vault: {} }))[0]?.kept).toHaveLength(1);
  } finally {
    await rowsOf(url, `reassign owned by ${name} to current_user; drop owned by ${name}; drop role ${name}`);
  }
});

test('without counters it is said that nothing could be checked', async () => {
  await rowsOf(url, `alter database ${new URL(url).pathname.slice(1)} set track_counts = off`);
  await deploy(url, { '1_seed': seed });
  const [outcome] = await deploy(url, { '1_seed': seed, '2_b': 'delete from a where id = 1' }, { vault: {} });
  expect(outcome?.remarks).toEqual([expect.stringContaining('track_counts is off')]);
});

test('where an event trigger fails on what the vault makes, the error says how to go on', async () => {
  const files = {
    '1_seed': `${seed}; create table log (x text);
      create function et() returns event_trigger language plpgsql as $$ begin insert into log values (tg_tag); end $$;
      create event trigger et on ddl_command_end execute function et()`,
    '2_b': 'delete from a where id = 1',
  };
  await expect(deploy(url, files, { vault: {} })).rejects.toMatchObject({
    message: expect.stringMatching(
      /"log" does not exist.*It failed in et\(\).*ALTER FUNCTION et\(\) SET search_path/,
    ),
  });
  await rowsOf(url, 'alter function et() set search_path = public');
  const [outcome] = await deploy(url, files, { vault: {} });
  expect(outcome?.kept).toHaveLength(1);
});
