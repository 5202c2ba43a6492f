import pg from 'pg';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createRowFiller } from '../../src/rollback/rows/fill.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';

const schema = `
  create extension citext; create extension hstore; create extension btree_gist;
  create schema "Other Schema";
  create type state as enum ('new', 'paid', 'it''s gone');
  create type "Other Schema"."Money" as (amount numeric(10,2), currency char(3));
  create domain email as citext check (value ~ '^[^@]+@[^@]+$');
  create domain percentage as numeric(5,2) not null check (value between 0 and 1);
  create domain code as text check (char_length(value) = 7);

  create table tenants (id uuid primary key default gen_random_uuid(), slug text not null unique check (slug ~ '^[a-z]+(-[a-z]+)*$'));
  create table "Users" (
    "tenantId" uuid not null references tenants, id integer generated always as identity, mail email not null,
    parent integer, "bestFriend" integer not null, share percentage, code code not null,
    primary key ("tenantId", id),
    foreign key ("tenantId", parent) references "Users" ("tenantId", id),
    foreign key ("tenantId", "bestFriend") references "Users" ("tenantId", id));
  create unique index on "Users" (lower(mail::text));
  create table documents (
    id bigserial primary key, tenant uuid not null references tenants, owner integer not null,
    foreign key (tenant, owner) references "Users" ("tenantId", id),
    state state not null unique, states state[] not null default '{}', kind varchar(12) check (kind in ('invoice', 'letter')),
    price "Other Schema"."Money", tags text[] not null, matrix integer[][], body jsonb not null check (jsonb_typeof(body) = 'array'),
    raw bytea not null, during tstzrange not null, days datemultirange not null, words tsvector not null,
    extra hstore not null, address inet not null, flag bit(3) not null, span interval not null, spot point not null,
    tiny numeric(3,3) not null, letter "char" not null, fixed char(2) not null unique,
    low integer not null, high integer not null, check (low < high and high <= 5),
    a text, b text, check (num_nonnulls(a, b) = 1),
    twice integer generated always as (low * 2) stored,
    exclude using gist (tenant with =, during with &&));
  -- A cycle: one of the two may point nowhere.
  create table chicken (id integer primary key, egg integer not null);
  create table egg (id integer primary key, chicken integer references chicken);
  alter table chicken add foreign key (egg) references egg;
  -- One to one, and many to many.
  create table profiles (owner bigint primary key references documents on delete cascade);
  create table "_Links" ("A" bigint not null references documents, "B" bigint not null references profiles, unique ("A", "B"));
  create table events (id integer, day date not null, kind text not null, primary key (id, day)) partition by range (day);
  create table events_2020 partition of events for values from ('2020-01-01') to ('2021-01-01');
  create table events_2021 partition of events for values from ('2021-01-01') to ('2022-01-01');
  create table regions (id integer, region text not null) partition by list (region);
  create table regions_eu partition of regions for values in ('eu', 'ch');
  create table "Other Schema"."Guarded ""Table""" (id integer primary key);
  create function refuse() returns trigger language plpgsql as $$ begin raise 'never'; end $$;
  create trigger refuse before insert on "Other Schema"."Guarded ""Table""" for each row execute function refuse();
  create table either (id integer primary key, tenant uuid references tenants, chicken integer references chicken,
    check (num_nonnulls(tenant, chicken) = 1));
  create table nothing ();
  create table impossible (id integer check (id <> id) not null);
  create table behind (id integer primary key, target integer not null);
`;

let database: TestDatabase;
let client: pg.Client;

beforeEach(async () => {
  database = await createDatabase();
  client = new pg.Client({ connectionString: database.url });
  await client.connect();
});
afterEach(async () => {
  await client.end();
  await database.drop();
});

async function count(table: string): Promise<number> {
  const { rows } = await client.query<{ count: number }>(`select count(*)::int4 as count from ${table}`);
  return rows[0]?.count ?? 0;
}

test('fills every table that can have rows, whatever its constraints', async () => {
  await client.query(schema);
  const { filled, left } = await createRowFiller().fill(client);
  expect(left).toEqual([
    {
      table: 'public.impossible',
      reason: 'new row for relation "impossible" violates check constraint "impossible_id_check"',
    },
  ]);
  expect(filled).toHaveLength(13);
  const counts: Record<string, number> = {};
  for (const table of [...filled, 'events_2020', 'events_2021', 'regions_eu'])
    counts[table] = await count(table);
  expect(Object.values(counts).every((rows) => rows > 0)).toBe(true);
  expect(counts['public."Users"']).toBe(3);
});

test('the rows satisfy every foreign key, even where triggers were switched off', async () => {
  await client.query(schema);
  await createRowFiller().fill(client);
  const { rows } = await client.query<{ sql: string }>(`
    select format('alter table %s drop constraint %I, add constraint %2$I %s', conrelid::regclass, conname, pg_get_constraintdef(oid)) as sql
      from pg_constraint where contype in ('f', 'c') and conrelid <> 0 and conparentid = 0 and coninhcount = 0
       and conrelid <> 'impossible'::regclass`);
  expect(rows.length).toBeGreaterThan(10);
  for (const { sql } of rows) await client.query(sql);
});

test('the same schema gets the same rows', async () => {
  const other = await createDatabase();
  const second = new pg.Client({ connectionString: other.url });
  await second.connect();
  try {
    const tables =
      'create table a (id int primary key, at timestamptz not null); create table b (id text primary key, a int references a)';
    const all = 'select a.id, a.at, b.id as b from a join b on b.a = a.id order by 1, 3';
    for (const one of [client, second]) {
      await one.query(tables);
      await createRowFiller().fill(one);
    }
    const { rows } = await client.query(all);
    expect(rows).toHaveLength(3);
    expect((await second.query(all)).rows).toEqual(rows);
  } finally {
    await second.end();
    await other.drop();
  }
});

test('a second call fills what is new or empty, and new columns, and leaves the rest alone', async () => {
  const filler = createRowFiller();
  await client.query('create table a (id int primary key); create table b (id int primary key)');
  await filler.fill(client);
  await client.query(`
    delete from b; insert into a values (7);
    alter table a add note text, add required int not null default 5, add b int references b;
    create table c (id int primary key, a int not null references a)`);
  const { filled } = await filler.fill(client);
  expect(filled).toEqual(['public.b', 'public.c']);
  expect(await count('a where note is not null and required = 5')).toBe(4);
  expect(await filler.fill(client)).toEqual({ filled: [], left: [] });
});
