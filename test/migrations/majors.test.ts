import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { availableMajors, majors, startServer, type TestServer } from '../support/postgres.ts';
import { bundleOf, deploy, rowsOf, tablesOf } from './deploy.ts';
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

  test.runIf(run)('leaves nothing of a migration that fails', async () => {
    const broken = { ...files, '4_broken': 'create table never (); select 1 / 0' };
    await expect(deploy(url, broken)).rejects.toMatchObject({
      details: { sqlstate: '22012', migration: '4_broken' },
    });
    expect(await tablesOf(url)).not.toContain('never');
  });
});
