import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Session } from '../../src/db/session.ts';
import { openSession } from '../../src/db/session.ts';
import { parseTarget } from '../../src/db/target.ts';
import { compareFingerprints, type Fingerprint, readFingerprint } from '../../src/schema/fingerprint.ts';
import { changesFor } from './changes.ts';
import { baseSql, execute, openServer, type SchemaServer, tested, undone, work } from './place.ts';

const words = (before: Fingerprint, after: Fingerprint): string[] =>
  compareFingerprints(before, after).map((difference) => difference.words);

describe.each(tested)('the fingerprint of a schema on PostgreSQL %i', (major) => {
  let server: SchemaServer;
  let session: Session;
  let base: Fingerprint;

  beforeAll(async () => {
    server = await openServer(major);
    const database = await server.make(baseSql);
    session = await openSession(parseTarget(database.url), { applicationName: 'test' });
    base = await readFingerprint(session);
  });
  afterAll(async () => {
    await session.close();
    await server.close();
  });

  test.each(changesFor(major))('has a fact that changes: $sql', async ({ sql, object }) => {
    const after = await undone(session, async () => {
      await session.query(sql);
      return await readFingerprint(session);
    });
    expect(after.hash).not.toBe(base.hash);
    expect(compareFingerprints(base, after).map((difference) => difference.object)).toContain(object);
    expect((await readFingerprint(session)).hash).toBe(base.hash);
  });

  test.each([
    "select nextval('app.numbers')",
    'analyze',
    "insert into app.users (email, small) values ('a@b.c', 1)",
    'create table public.passing (id int); drop table public.passing',
    'create schema switchback; create table switchback.journal (id int)',
    'create schema switchback_vault; create table switchback_vault.kept (id int)',
    'alter table public._prisma_migrations add column logs text',
    'create temp table passing (id int)',
    "set search_path = app; set timezone = 'Asia/Tokyo'; set datestyle = 'German'",
    'alter table app.users add column passing int; alter table app.users drop column passing',
    'grant all on app.users to current_user',
    'reindex table app.users',
  ])('does not change with: %s', async (sql) => {
    const after = await undone(session, async () => {
      await session.query(sql);
      return await readFingerprint(session);
    });
    expect(words(base, after)).toEqual([]);
    expect(after.hash).toBe(base.hash);
  });

  test('is the same whatever the physical order of columns', async () => {
    const [one, other] = [
      await server.make('create table t (a int not null, b text default 1, c int check (c > 0))'),
      await server.make(
        'create table t (c int check (c > 0), gone int, b text default 1, a int not null); alter table t drop column gone',
      ),
    ];
    const [before, after] = [await work(one.url, readFingerprint), await work(other.url, readFingerprint)];
    expect(words(before, after)).toEqual([]);
  });

  test('leaves the settings of the session as they were', async () => {
    await session.query("set search_path = app, public; set timezone = 'Asia/Tokyo'");
    await readFingerprint(session);
    const { rows } = await session.query(
      "select current_setting('search_path') as path, current_setting('TimeZone') as zone, current_setting('jit') as jit",
    );
    expect(rows).toEqual([{ path: 'app, public', zone: 'Asia/Tokyo', jit: 'on' }]);
    await session.query('reset all');
  });

  test('leaves out what is to be ignored, with all that belongs to it', async () => {
    const database = await server.make(
      'create schema audit; create table audit.a (id int primary key); create table t (id serial primary key); create index own on t (id); create table tt (id int)',
    );
    const left = async (...ignore: string[]): Promise<string> => {
      const { facts } = await work(database.url, (opened) => readFingerprint(opened, { ignore }));
      return [...facts.keys()].join('\n');
    };
    expect(await left()).toMatch(/audit\.a\.id[\s\S]*public\.t\.own[\s\S]*public\.tt/);
    expect(await left('audit.*', 'audit')).not.toMatch(/audit/);
    expect(await left('public.t')).not.toMatch(/public\.t(\.|$)/m);
    expect(await left('public.t')).toMatch(/public\.tt/);
  });

  test('holds no secret of a foreign server', () => {
    const text = JSON.stringify([...base.facts]);
    expect(text).toContain('server elsewhere');
    expect(text).not.toContain('a secret of theirs');
    expect(text).not.toContain('elsewhere.example');
  });

  test('says in words what differs', async () => {
    const after = await undone(session, async () => {
      await session.query(
        'alter table app.posts alter title drop not null, drop column body; create table app.t (id int)',
      );
      return await readFingerprint(session);
    });
    expect(words(base, after)).toEqual(
      expect.arrayContaining([
        'column app.posts.title: text not null → text',
        'column app.posts.body: text → not there',
        'table app.t: not there → there',
      ]),
    );
  });
});

test('a fingerprint of 300 tables takes less than a second', async () => {
  const server = await openServer(15);
  try {
    const database = await server.make();
    await execute(
      database.url,
      `do $$ begin for n in 1..300 loop
         execute format('create table t%s (id bigserial primary key, a text not null default %L, b int references t1, c timestamptz default now(), d jsonb, e numeric(10, 2) check (e > 0), f bool, g uuid)', n, 'x');
         execute format('create index on t%s (a); create index on t%s (b, c)', n, n);
       end loop; end $$`.replace('references t1', ''),
    );
    await work(database.url, async (session) => {
      await readFingerprint(session);
      const from = performance.now();
      const { facts } = await readFingerprint(session);
      expect(facts.size).toBeGreaterThan(300 * 12);
      expect(performance.now() - from).toBeLessThan(1_000);
    });
  } finally {
    await server.close();
  }
});
