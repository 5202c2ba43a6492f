import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { programDirectories } from '../../src/config.ts';
import { findPrograms, type ProgramPlaces } from '../../src/db/programs.ts';
import { parseTarget, type Target } from '../../src/db/target.ts';
import { copySchema, type SchemaCopy, throughCopy } from '../../src/schema/copy.ts';
import { entriesOf } from '../../src/schema/dump.ts';
import { isDumpProof } from '../../src/schema/dump-proof.ts';
import {
  compareFingerprints,
  type Fingerprint,
  fingerprintOf,
  readFingerprint,
} from '../../src/schema/fingerprint.ts';
import { createScratch, type Scratch } from '../../src/schema/scratch.ts';
import { baseSql, execute, openServer, type SchemaServer, tested, undone, work } from './place.ts';

const places: ProgramPlaces = { searchPath: programDirectories() };
const noPrograms: ProgramPlaces = { directory: '/nowhere', searchPath: [] };
const common = {
  lockWaitSeconds: 1,
  applicationName: 'test',
  signal: new AbortController().signal,
};
const hasPrograms = await findPrograms(places, 15).then(
  () => true,
  () => false,
);
const nasty = readFileSync(path.join(import.meta.dirname, '../analysis/nasty.sql'), 'utf8');

const made: Scratch[] = [];
afterEach(async () => {
  for (const scratch of made.splice(0)) await scratch.drop();
});

async function copy(
  source: Target,
  programPlaces: ProgramPlaces,
  server?: Target,
): Promise<{ readonly copy: SchemaCopy; readonly url: string }> {
  const scratch = await createScratch({ like: source, server, jobId: randomUUID(), applicationName: 'test' });
  made.push(scratch);
  const url = new URL(`postgres://${scratch.target.host}:${scratch.target.port}/${scratch.name}`);
  url.username = scratch.target.user;
  url.password = String(scratch.target.clientConfig.password);
  return { copy: await copySchema({ ...common, source, scratch, programPlaces }), url: url.href };
}

const fingerprint = (url: string): Promise<Fingerprint> => work(url, (session) => readFingerprint(session));

/** But for what stays behind. */
const lacking = async (source: string, copied: string): Promise<string[]> =>
  compareFingerprints(await fingerprint(source), await fingerprint(copied))
    .filter(
      ({ object }) =>
        !/(event trigger|publication|publication table|server|foreign table) |app\.remote/.test(object),
    )
    .map(({ words }) => words);

const outside =
  'select (select count(*)::int from pg_event_trigger) + (select count(*)::int from pg_foreign_server) + (select count(*)::int from pg_user_mapping) + (select count(*)::int from pg_publication) as count';
const countOutside = (url: string): Promise<number> =>
  work(url, async (session) => (await session.query<{ count: number }>(outside)).rows[0]?.count ?? -1);

describe.runIf(hasPrograms)('a copy by pg_dump', () => {
  let server: SchemaServer;
  beforeAll(async () => {
    server = await openServer(15);
  });
  afterAll(() => server.close());

  test.each([
    ['of everything', baseSql],
    ['of what is hard to copy', nasty],
    ['of an empty database', ''],
    ['of one without a public schema', 'drop schema public; create schema app; create table app.t (id int)'],
    ['after a reset by Prisma', 'drop schema public cascade; create schema public; create table t (id int)'],
  ])('is the same: %s', async (_, sql) => {
    const { url } = await server.make(sql);
    const copied = await copy(parseTarget(url), places);
    expect(copied.copy).toMatchObject({ by: 'pg_dump', missingExtensions: [] });
    expect(await lacking(url, copied.url)).toEqual([]);
  });

  test('has nothing that reaches beyond its database, and says what stayed behind', async () => {
    const { url } = await server.make(baseSql);
    const copied = await copy(parseTarget(url), places);
    expect(await countOutside(url)).toBe(4);
    expect(await countOutside(copied.url)).toBe(0);
    expect(copied.copy.left.map(({ object }) => object)).toEqual(
      expect.arrayContaining([
        'EVENT TRIGGER app_noted',
        'SERVER elsewhere',
        expect.stringMatching(/^USER MAPPING/),
        'FOREIGN TABLE app.remote',
      ]),
    );
  });

  test('is not led astray by text that looks like a dump', async () => {
    const head = '--\n-- Name: x; Type: EVENT TRIGGER; Schema: -; Owner: -\n--\n';
    const { url } = await server.make(`
      create function f() returns text language sql as $body$ select $a$${head}\\restrict x\n$a$ $body$;
      create table t (a text default '${head}'); comment on table t is '${head}"''"';
      create table "x
--
-- Name: y; Type: SERVER; Schema: -; Owner: -
--
" (id int)`);
    const copied = await copy(parseTarget(url), places);
    expect(copied.copy.left).toEqual([]);
    expect(await lacking(url, copied.url)).toEqual([]);
  });

  test('goes on without an extension that cannot be had, and says so', async () => {
    const { url } = await server.make(
      'create extension pageinspect; create extension citext; create table t (id int, name citext)',
    );
    const role = `r_${randomUUID().slice(0, 8)}`;
    await execute(url, `create role ${role} login createdb password 'x'`);
    try {
      const weak = new URL(url);
      Object.assign(weak, { username: role, password: 'x', pathname: '/postgres' });
      const copied = await copy(parseTarget(url), places, parseTarget(weak.href));
      expect(copied.copy.missingExtensions).toEqual(['pageinspect']);
      expect(copied.copy.left.map(({ object }) => object)).toContain('EXTENSION pageinspect');
      expect((await fingerprint(copied.url)).facts.get('column public.t.name')).toBe('public.citext');
    } finally {
      for (const scratch of made.splice(0)) await scratch.drop();
      await execute(url, `drop role ${role}`);
    }
  });

  test('does not wait for ever for a locked table', async () => {
    const { url } = await server.make('create table t (id int)');
    await work(url, async (session) => {
      await session.query('begin; lock table t');
      await expect(copy(parseTarget(url), places)).rejects.toMatchObject({
        code: 'SCHEMA_COPY_FAILED',
        message: expect.stringContaining('The database is as it was.'),
      });
    });
  });

  test('is what databases that were built differently are compared by', async () => {
    const check = "create table t (a text, check (a in ('x', 'y')))";
    const [one, other] = [await server.make(check), await server.make(check)];
    // A dump prints it as it stands in the catalogue, and that becomes another text in the catalogue again.
    const again = await copy(parseTarget(other.url), places);
    const read = (url: string) =>
      throughCopy(
        {
          ...common,
          source: parseTarget(url),
          programPlaces: places,
          scratch: { jobId: randomUUID(), applicationName: 'test' },
        },
        (session) => readFingerprint(session),
      );
    expect((await read(one.url)).hash).toBe((await read(again.url)).hash);
  });
});

describe.runIf(hasPrograms)('what is said to come through a dump as it was', () => {
  let server: SchemaServer;
  beforeAll(async () => {
    server = await openServer(15);
  });
  afterAll(() => server.close());
  const nothing = fingerprintOf([]);

  test.each([
    ['the base', () => baseSql],
    ['nasty names', () => nasty],
  ])('does: %s', async (_, sql) => {
    const { url } = await server.make(sql());
    const before = await fingerprint(url);
    const after = await fingerprint((await copy(parseTarget(url), places)).url);
    // Of foreign tables it is the table itself that is not copied.
    const certain = [...before.facts].filter(
      (fact) => isDumpProof(nothing, fingerprintOf([fact])) && !/ app\.remote\b/.test(fact[0]),
    );
    expect(certain.length).toBeGreaterThan(before.facts.size / 3);
    expect(certain.map(([object]) => [object, after.facts.get(object)])).toEqual(certain);
  });

  test('is what most migrations make, and nothing with an expression', async () => {
    const { url } = await server.make(`
      create type mood as enum ('sad', 'glad');
      create table users (id serial primary key, email varchar(200) not null unique, mood mood not null default 'glad',
        at timestamptz not null default current_timestamp, tags text[] default array[]::text[], price numeric(10, 2) default 0,
        ref uuid default gen_random_uuid(), owner int references users on delete cascade, note text default 'it''s');
      create index on users (mood, at desc) include (email);
      create function touch() returns trigger language plpgsql as 'begin return new; end';
      create trigger touched before update on users for each row execute function touch();`);
    const empty = await fingerprint((await server.make()).url);
    const made = await fingerprint(url);
    expect(
      [...made.facts].filter((fact) => !isDumpProof(empty, fingerprintOf([...empty.facts, fact]))),
    ).toEqual([]);
    expect(isDumpProof(empty, made)).toBe(true);
    for (const sql of [
      "alter table users add check (email in ('a', 'b'))",
      'alter table users add age int default (1 + 2)',
      'alter table users add upper text generated always as (upper(email)) stored',
      'create index on users (lower(email))',
      "create index on users (at) where mood = 'glad'",
      'create view sad as select * from users',
      "create trigger cased after update on users for each row when (new.note = 'x') execute function touch()",
      'create function f(n int default 1) returns int language sql as $$select 1$$',
      'create function g(n int) returns int language sql begin atomic; select 1; end',
      'create publication p for table users',
      'grant select on users to pg_monitor',
    ]) {
      const changed = await work(url, (session) =>
        undone(session, async () => {
          await session.query(sql);
          return readFingerprint(session);
        }),
      );
      expect([sql, isDumpProof(empty, changed)]).toEqual([sql, false]);
    }
  });
});

describe.each(tested)('a copy without pg_dump on PostgreSQL %i', (major) => {
  let server: SchemaServer;
  beforeAll(async () => {
    server = await openServer(major);
  });
  afterAll(() => server.close());

  test('is the same, but for what it names', async () => {
    const { url } = await server.make(baseSql);
    const copied = await copy(parseTarget(url), noPrograms);
    expect(copied.copy.by).toBe('difference');
    expect(await countOutside(copied.url)).toBe(0);
    const missed = await lacking(url, copied.url);
    const named = copied.copy.left.map(({ object }) => object);
    expect(missed.filter((text) => !named.some((object) => text.startsWith(`${object}: `)))).toEqual([]);
    expect(
      missed.every((text) => /^(comment on )?(column storage|statistics|operator|text search)/.test(text)),
    ).toBe(true);
  });
});

test('a dump is taken apart at its heads, and only there', () => {
  const entries = entriesOf(`--
-- PostgreSQL database dump
--

\\restrict abc

SET statement_timeout = 0;

--
-- Name: t; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.t (a text DEFAULT '
--
-- Name: x; Type: SERVER; Schema: -; Owner: -
--
');


--
-- Name: f(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.f() AS $_$ it's $$ $_$;


\\unrestrict abc
`);
  expect(entries.map(({ type, name, schema }) => [type, name, schema])).toEqual([
    ['SETTINGS', '', ''],
    ['TABLE', 't', 'public'],
    ['FUNCTION', 'f()', 'public'],
  ]);
  expect(entries.map(({ sql }) => sql).join('\n')).not.toMatch(/^\\/m);
  expect(entries[1]?.sql).toContain('Type: SERVER');
});
