import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { availableMajors, majors, startServer, type TestServer } from '../support/postgres.ts';
import { bundleOf, deploy, rollBack, rowsOf, tablesOf } from './deploy.ts';
import { prismaEngine } from './prisma-engine.ts';

describe.each(majors)('PostgreSQL %i', (major) => {
  const run = availableMajors.includes(major);
  let server: TestServer | undefined;
  let url = '';
  beforeAll(async () => {
    if (!run) return;
    server = await startServer(major);
    url = server.url();
  });
  afterAll(() => server?.stop());

  const files = {
    '1_tables': `create type mood as enum ('calm');
      create table person (id int primary key, mood mood not null);
      create table letter (id int, person int references person (id) deferrable initially deferred, day date not null)
        partition by range (day);
      create table letter_2026 partition of letter for values from ('2026-01-01') to ('2027-01-01');`,
    '2_everything': `alter type mood add value 'glad';
      insert into person values (1, 'calm'), (2, 'glad');
      create unique index concurrently person_mood on person (mood);
      do $$ begin for i in 1..3 loop insert into letter values (i, 1, '2026-02-01'); commit; end loop; end $$;
      insert into letter values (4, 2, '2026-03-01');
      alter table letter_2026 add column read boolean;
      reindex table concurrently person;
      vacuum (analyze) person;
      drop index concurrently person_mood;
      alter table letter detach partition letter_2026 concurrently;`.replace(
      'alter table letter_2026 add column read boolean;',
      'alter table letter add column read boolean;',
    ),
    '3_last': 'set search_path = pg_catalog; select 1; create table public.last ()',
  };

  test.runIf(run)('deploys what a transaction takes and what it does not, and Prisma agrees', async () => {
    const outcomes = await deploy(url, files);
    expect(outcomes.map(({ name }) => name)).toEqual(Object.keys(files));
    expect(await rowsOf(url, 'select count(*)::int as n from letter_2026')).toEqual([{ n: 4 }]);
    expect(await tablesOf(url)).toEqual(expect.arrayContaining(['last', 'letter_2026', 'person']));
    const seen = await prismaEngine(url).diagnose(await bundleOf(files));
    expect(seen).toEqual({ pending: [], failed: [], edited: [] });
  });

  test.runIf(run)('keeps what views and functions hide: rows changed, emptied and deferred', async () => {
    const database = await server?.createDatabase();
    if (database === undefined) return;
    const hidden = {
      '1_seed': `create table p (id int, n text) partition by range (id); create table p1 partition of p for values from (0) to (10);
        create table e (id int primary key); create table o (n int); create table q (id int primary key); insert into p values (1, 'x'), (2, 'y'); insert into e values (1), (2);
        create function empty() returns int language plpgsql as $$ begin truncate e; return 1; end $$; create view v as select empty() as n;
        create view w as select * from p;
        create function late() returns trigger language plpgsql as $$ begin insert into o values (1); return null; end $$;
        create constraint trigger late after insert on q deferrable initially deferred for each row execute function late()`,
      '2_hidden': "create table c as select * from v; update w set n = 'lost'; insert into q values (1), (2)",
    };
    const read = () =>
      rowsOf(
        database.url,
        'select (select json_agg(p order by id) from p) as p, (select json_agg(e order by id) from e) as e, (select count(*) from o) as o',
      );
    await deploy(database.url, { '1_seed': hidden['1_seed'] });
    const before = await read();
    await deploy(database.url, hidden, { vault: {} });
    expect(await read()).toMatchObject([{ e: null, o: '2' }]);
    await rollBack(database.url, { '2_hidden': 'drop table c' });
    expect(await read()).toEqual(before);
    await database.drop();
  });

  test.runIf(run)(
    'gives rows back to a partition without its triggers, which its table has from above',
    async () => {
      const database = await server?.createDatabase();
      if (database === undefined) return;
      const seed = {
        '1_seed': `create table p (id int primary key, n int) partition by range (id); create table p1 partition of p for values from (0) to (10); create table seen (id int);
        create function note() returns trigger language plpgsql as $$ begin insert into seen values (coalesce(new.id, old.id)); return null; end $$;
        insert into p values (1, 1), (2, 2), (3, 3); create trigger note after insert or update or delete on p for each row execute function note();
        create constraint trigger later after update on p deferrable initially deferred for each row execute function note()`,
      };
      await deploy(database.url, seed);
      await deploy(
        database.url,
        { ...seed, '2_write': 'delete from p where id = 1; update p set n = 9 where id = 2' },
        { vault: {} },
      );
      expect(await rowsOf(database.url, 'select id from seen order by id')).toEqual([
        { id: 1 },
        { id: 2 },
        { id: 2 },
      ]);
      await rollBack(database.url, { '2_write': '' });
      expect(await rowsOf(database.url, 'select * from p order by id')).toEqual(
        [1, 2, 3].map((id) => ({ id, n: id })),
      );
      expect(await rowsOf(database.url, 'select id from seen')).toEqual([]);
      await database.drop();
    },
  );

  test.runIf(run && major >= 17)('gives back a partition with an identity column', async () => {
    const database = await server?.createDatabase();
    if (database === undefined) return;
    const table = 'create table t1 partition of t for values from (0) to (10)';
    const seed = {
      '1_seed': `create table t (id int generated always as identity, r int, primary key (id, r)) partition by range (r); ${table}; insert into t (r) values (1), (2)`,
    };
    await deploy(database.url, seed);
    await deploy(database.url, { ...seed, '2_drop': 'drop table t1' }, { vault: {} });
    await rollBack(database.url, { '2_drop': table });
    expect(
      await rowsOf(
        database.url,
        "select (select json_agg(t order by id) from t) as t, (select attidentity from pg_attribute where attrelid = 't1'::regclass and attname = 'id') as id",
      ),
    ).toEqual([
      {
        t: [
          { id: 1, r: 1 },
          { id: 2, r: 2 },
        ],
        id: 'a',
      },
    ]);
    await database.drop();
  });

  test.runIf(run && major >= 18)('leaves a column nullable that had a named NOT NULL', async () => {
    const database = await server?.createDatabase();
    if (database === undefined) return;
    const seed = {
      '1_seed':
        'create table a (id int primary key, n int constraint nn not null); insert into a values (1, 5)',
    };
    await deploy(database.url, seed);
    await deploy(database.url, { ...seed, '2_drop': 'alter table a drop n' }, { vault: {} });
    await rowsOf(database.url, 'insert into a values (2)');
    const [outcome] = await rollBack(database.url, {
      '2_drop': `alter table a add n int;
-- switchback: restore
alter table a alter n set not null;
alter table a rename constraint a_n_not_null to nn`,
    });
    expect(outcome?.leftNullable).toEqual([{ table: '"a"', column: 'n', rows: 1 }]);
    expect(await rowsOf(database.url, 'select n from a order by id')).toEqual([{ n: 5 }, { n: null }]);
    await database.drop();
  });

  test.runIf(run)('leaves nothing of a migration that fails', async () => {
    const broken = { ...files, '4_broken': 'create table never (); select 1 / 0' };
    await expect(deploy(url, broken)).rejects.toMatchObject({
      details: { sqlstate: '22012', migration: '4_broken' },
    });
    expect(await tablesOf(url)).not.toContain('never');
  });
});
