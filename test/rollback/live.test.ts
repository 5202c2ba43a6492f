/** Proofs that stand on a live database, and rows that were written after a migration. */
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { withSession } from '../../src/db/session.ts';
import { parseTarget } from '../../src/db/target.ts';
import { copyRows } from '../../src/rollback/rows/copy.ts';
import { Trial } from '../../src/rollback/trial.ts';
import { readContent } from '../../src/schema/content.ts';
import { createScratch, type Scratch } from '../../src/schema/scratch.ts';
import { loadParser } from '../../src/sql/parse.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';
import { prove } from './prove.ts';

beforeAll(loadParser);

let live: TestDatabase;
let client: pg.Client;

beforeEach(async () => {
  live = await createDatabase();
  client = new pg.Client({ connectionString: live.url });
  await client.connect();
});
afterEach(async () => {
  await client.end();
  await live.drop();
});

const schema = `
  create table owner (id serial primary key, name text not null);
  create table pet (id int primary key, owner int not null references owner, friend int references pet, twice int generated always as (owner * 2) stored);
  create table log (pet int);
  create function noted() returns trigger language plpgsql as 'begin insert into log values (new.id); return new; end';
  create trigger noted after insert on pet for each row execute function noted()`;

const fill = `
  insert into owner (name) select 'owner ' || n from generate_series(1, 50) n;
  -- Each has a friend that comes later.
  insert into pet (id, owner) select n, 51 - n from generate_series(1, 50) n;
  update pet set friend = id + 1 where id < 50`;

const source = () => ({
  live: parseTarget(live.url),
  programPlaces: { searchPath: [] },
  lockWaitSeconds: 10,
});

const change = 'alter table owner drop column name; alter table pet add column age int';

test.each(['full', 'sample'] as const)('proves on the rows of a live database: %s', async (rows) => {
  await client.query(`${schema}; ${fill}`);
  const before = await contentOf(live.url);
  const [proof] = await prove([change], { from: source(), rows });
  expect(proof).toMatchObject({ outcome: 'proven', on: rows, compared: { tables: 3, rows: 150 } });
  expect(await contentOf(live.url)).toEqual(before);
});

test('real rows with which a migration does not run speak against it', async () => {
  await client.query(`${schema}; ${fill}`);
  const [proof] = await prove(['alter table owner add constraint none check (id < 9)'], {
    from: source(),
    rows: 'full',
  });
  expect(proof).toMatchObject({ outcome: 'failed', on: 'full' });
});

test('a sample has all that its rows point to, and sequences stand where they stood', async () => {
  await client.query(schema);
  const scratch = await scratchWith(schema);
  try {
    await client.query(fill);
    const left = await copyRows({
      source: parseTarget(live.url),
      scratch,
      rowsPerTable: 3,
      applicationName: 'test',
      signal: new AbortController().signal,
    });
    expect(left).toEqual(['of each table all rows but 3, and what these point to']);
    await withSession(scratch.target, { applicationName: 'test' }, async (session) => {
      const { rows } = await session.query(
        `select (select count(*)::int from owner) as owners, (select count(*)::int from pet) as pets,
                (select count(*)::int from log) as logs, nextval('owner_id_seq')::int as next`,
      );
      // The last of the friends has none, so that all come along with the first.
      expect(rows).toEqual([{ owners: 50, pets: 50, logs: 3, next: 51 }]);
    });
  } finally {
    await scratch.drop();
  }
});

test('rows written since get the old default, or leave their column nullable; what does not fit is kept', async () => {
  const before = `create type mood as enum ('sad', 'ok');
    create table t (id int primary key, a text not null, b text not null default 'b', n int not null, m mood not null default 'ok')`;
  const migration = `alter table t drop column a, drop column b, alter n type bigint; alter type mood add value 'wild'`;
  const proofs = await prove([before, migration]);
  const sql = proofs[1]?.sql ?? '';
  const scratch = await scratchWith(`${before}; insert into t values (1, 'a1', 'b1', 1, 'sad')`);
  const session = await scratch.open();
  try {
    const signal = new AbortController().signal;
    const trial = new Trial({ scratch, session, schema: 'public', jobId: randomUUID(), signal });
    await trial.forth([{ name: '1', sql: migration }], true);
    await session.query("insert into t (id, n, m) values (2, 3000000000, 'wild'), (3, 3, 'sad')");
    const { leftNullable, restored } = await trial.back('1', sql);
    expect(leftNullable).toEqual([
      { table: '"public"."t"', column: 'a', rows: 2 },
      { table: '"public"."t"', column: 'n', rows: 1 },
    ]);
    expect(restored.flatMap(({ conflicts }) => Object.keys(conflicts))).toEqual([]);
    const { rows } = await session.query('select id, a, b, n, m::text from t order by id');
    expect(rows).toEqual([
      { id: 1, a: 'a1', b: 'b1', n: 1, m: 'sad' },
      { id: 2, a: null, b: 'b', n: null, m: 'ok' },
      { id: 3, a: null, b: 'b', n: 3, m: 'sad' },
    ]);
  } finally {
    await session.close();
    await scratch.drop();
  }
});

test('a sequence of a column that comes back gives out no number again', async () => {
  const before = `create table t (id int primary key, n int generated always as identity (start 5), m int not null generated by default as identity (increment -2), k serial)`;
  const migration = 'alter table t rename to u; alter table u drop column n, drop column m, drop column k';
  const sql = (await prove([before, migration]))[1]?.sql ?? '';
  const scratch = await scratchWith(
    `${before}; insert into t select i from generate_series(1, 9) i; delete from t where id > 3`,
  );
  const session = await scratch.open();
  try {
    const signal = new AbortController().signal;
    const trial = new Trial({ scratch, session, schema: 'public', jobId: randomUUID(), signal });
    await trial.forth([{ name: '1', sql: migration }], true);
    await trial.back('1', sql);
    const { rows } = await session.query('insert into t values (4) returning n, m, k');
    expect(rows).toEqual([{ n: 14, m: -19, k: 10 }]);
  } finally {
    await session.close();
    await scratch.drop();
  }
});

test('a partition whose rows went into the default one meanwhile is refused, with their number', async () => {
  const before = `create table t (id int, r text) partition by list (r); create table ta partition of t for values in ('a', 'b');
    create table "t d" partition of t default partition by list (id); create table td1 partition of "t d" default`;
  const sql = (await prove([before, 'drop table ta']))[1]?.sql ?? '';
  const scratch = await scratchWith(before);
  const session = await scratch.open();
  try {
    const signal = new AbortController().signal;
    const trial = new Trial({ scratch, session, schema: 'public', jobId: randomUUID(), signal });
    await session.query("insert into t values (1, 'a')");
    await trial.forth([{ name: '1', sql: 'drop table ta' }], true);
    await session.query("insert into t values (2, 'a'), (3, 'b'), (4, 'c'), (5, null)");
    await expect(trial.back('1', sql)).rejects.toMatchObject({
      code: 'ROLLBACK_PARTITION_TAKEN',
      message: expect.stringMatching(
        /"public"\."ta" of "public"\."t".* 2 row\(s\).* default partition \S*"t d"/,
      ),
    });
    await session.query("delete from t where r in ('a', 'b')");
    await trial.back('1', sql);
    const { rows } = await session.query('select * from ta');
    expect(rows).toEqual([{ id: 1, r: 'a' }]);
  } finally {
    await session.close();
    await scratch.drop();
  }
});

test('a table that comes back belongs to whom it did, and is published as it was', async () => {
  const role = `r_${randomUUID().slice(0, 8)}`;
  await client.query(`create role ${role}`);
  try {
    await client.query(`${schema}; ${fill}; create table noted (id int, seen bool, note text);
      alter table pet owner to ${role}; create publication p for table pet, noted (id, seen) where (id > 3);
      create publication all_of_them for tables in schema public; alter publication p owner to ${role}`);
    const [proof] = await prove(['drop table pet, noted; drop publication p'], {
      from: source(),
      rows: 'full',
    });
    expect(proof).toMatchObject({ outcome: 'proven', reasons: [], compared: { leftOut: [] } });
    await client.query(`drop table pet, noted; drop publication p`);
    await client.query(proof?.sql ?? '');
    const { rows } = await client.query(
      `select (select tableowner from pg_tables where tablename = 'pet') as owner,
         array(select concat_ws(' ', pubname, tablename, attnames::text, rowfilter) from pg_publication_tables where pubname = 'p' order by 1) as published,
         (select pubowner::regrole::text from pg_publication where pubname = 'p') as publisher`,
    );
    expect(rows).toEqual([
      {
        owner: role,
        publisher: role,
        published: ['p noted {id,seen} (id > 3)', expect.stringMatching(/^p pet /)],
      },
    ]);
  } finally {
    await client.query(`drop owned by ${role} cascade; drop role ${role}`);
  }
});

test('an owner to whom a role may not give a table is told, and speaks against nothing', async () => {
  const [owner, weak] = [`r_${randomUUID().slice(0, 8)}`, `r_${randomUUID().slice(0, 8)}`];
  await client.query(`create role ${owner}; create role ${weak} login createdb password 'x'; ${schema};
    alter table log owner to ${owner}; grant select on log to ${weak}; alter table owner owner to ${weak}; alter table pet owner to ${weak}; grant all on schema public to ${weak}`);
  const url = Object.assign(new URL(live.url), { username: weak, password: 'x' });
  try {
    const [proof] = await prove(['alter table owner drop column name'], {
      server: parseTarget(url.href),
      from: { ...source(), live: parseTarget(url.href) },
      rows: 'none',
    });
    expect(proof).toMatchObject({ outcome: 'proven' });
    expect(proof?.compared.leftOut).toEqual([
      expect.stringMatching(/^owner of FUNCTION public\.noted\(\): .*role/),
      expect.stringMatching(/^owner of TABLE public\.log: .*role/),
    ]);
  } finally {
    await client.query(`drop owned by ${weak}, ${owner} cascade; drop role ${weak}; drop role ${owner}`);
  }
});

async function scratchWith(sql: string): Promise<Scratch> {
  const scratch = await createScratch({
    like: parseTarget(live.url),
    jobId: randomUUID(),
    applicationName: 'test',
  });
  await withSession(scratch.target, { applicationName: 'test' }, (session) => session.query(sql));
  return scratch;
}

const contentOf = (url: string) =>
  withSession(parseTarget(url), { applicationName: 'test' }, (session) => readContent(session));
