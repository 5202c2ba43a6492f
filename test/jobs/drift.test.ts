import { execFileSync } from 'node:child_process';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { programDirectories } from '../../src/config.ts';
import { findPrograms } from '../../src/db/programs.ts';
import { parseTarget } from '../../src/db/target.ts';
import type { Drift } from '../../src/jobs/drift/drift.ts';
import { driftCheck } from '../../src/jobs/kinds/drift-check.ts';
import { type RunningWorker, startWorker } from '../../src/jobs/worker.ts';
import { readDirectory } from '../../src/migrations/read.ts';
import { type DeployPlace, openDeployPlace } from '../acceptance/deploy-place.ts';
import { rowsOf } from '../migrations/deploy.ts';
import { prismaEngine } from '../migrations/prisma-engine.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';

const quick = { heartbeatMs: 200, staleMs: 5_000, repairMs: 200 };

let target: TestDatabase;
let place: DeployPlace;
let worker: RunningWorker | undefined;

const open = async (url: string, policy: Record<string, unknown> = {}): Promise<void> => {
  place = await openDeployPlace(url, {
    policy: {
      backup: { never: 'tested elsewhere' },
      rehearsal: 'preferred',
      rehearsalRows: 'none',
      ...policy,
    },
  });
  worker = await startWorker(place.switchback.deps, quick);
};
const close = async (): Promise<void> => {
  await worker?.stop();
  worker = undefined;
  await place?.close();
};
const deploy = async () => place.finished(await place.deploy());
const check = async (): Promise<Drift> => {
  const job = await place.finished(await place.ask(driftCheck, {}));
  expect(job.error).toBeNull();
  return job.result as unknown as Drift;
};
const expectedRows = () => place.switchback.deps.control.prisma.expectedSchema.count();

beforeEach(async () => {
  target = await createDatabase();
});
afterEach(async () => {
  await close();
  await target.drop();
});

const first = {
  '1_users':
    "create type mood as enum ('sad', 'glad'); create table users (id int primary key, name text, mood mood check (mood in ('sad', 'glad')));",
};

describe('drift', { timeout: 120_000 }, () => {
  test('is what somebody changed by hand; there is SQL for both directions', async () => {
    await open(target.url);
    place.write(first);
    expect(await deploy()).toMatchObject({ state: 'succeeded' });
    expect(await check()).toMatchObject({ drifted: false, differences: [], total: 0 });
    await place.query('create index hotfix on users (name); alter table users add column note text');
    const drift = await check();
    expect(drift).toMatchObject({ drifted: true, total: 2 });
    expect(drift.differences.join('\n')).toMatch(/column public\.users\.note: not there → text/);
    expect(drift.toMigrations.sql).toMatch(/DROP COLUMN/i);
    expect(drift.toDatabase.sql).toMatch(/ADD COLUMN/i);
    // Both do what they say.
    await place.query(drift.toMigrations.sql);
    expect(await check()).toMatchObject({ drifted: false });
  });

  test('is what `prisma db push` has made', async () => {
    await open(target.url);
    const model =
      'datasource db {\n  provider = "postgresql"\n}\nmodel users {\n  id Int @id\n  name String\n';
    const engine = prismaEngine(target.url);
    place.write({ '1_users': await engine.createSql(`${model}}`) });
    expect(await deploy()).toMatchObject({ state: 'succeeded' });
    // Its own command can be had only with its engine's binary: this is what it runs.
    await place.query(await engine.createSql(`${model}  email String? @unique\n}`, `${model}}`));
    const drift = await check();
    expect(drift).toMatchObject({ drifted: true });
    expect(drift.differences.join('\n')).toMatch(/column public\.users\.email: not there → text/);
    place.write({ '2_more': 'create table more (id int primary key);' });
    expect(await deploy()).toMatchObject({ state: 'failed', error: { code: 'SCHEMA_DRIFTED' } });
    // The other direction: what was pushed becomes a migration, recorded as applied.
    place.write({ '2_more': '', '1_z_pushed': drift.toDatabase.sql });
    await engine.resolveApplied(await readDirectory(place.migrations), '1_z_pushed');
    expect(await check()).toMatchObject({ drifted: false });
  });

  test('stops a deployment, unless it is allowed or no concern of the migrations', async () => {
    await open(target.url, {
      ignore: ['public.spatial_*'],
    });
    place.write(first);
    await deploy();
    await place.query('create table spatial_ref (id int)');
    place.write({ '2_more': 'create table more (id int primary key);' });
    expect(await deploy()).toMatchObject({ state: 'succeeded' });
    await place.query('alter table more add column by_hand int');
    place.write({ '3_else': 'create table other (id int primary key);' });
    expect(await deploy()).toMatchObject({
      state: 'failed',
      error: { code: 'SCHEMA_DRIFTED', detail: expect.stringContaining('by_hand') as string },
    });
    await close();
    await open(target.url, {
      ignore: ['public.spatial_*'],
      allow: [{ code: 'SCHEMA_DRIFTED', reason: 'a hotfix of last night' }],
    });
    place.write({
      ...first,
      '2_more': 'create table more (id int primary key);',
      '3_else': 'create table other (id int primary key);',
    });
    expect(await deploy()).toMatchObject({ state: 'succeeded' });
  });

  test('is not worked out anew for every deployment', async () => {
    await open(target.url);
    place.write(first);
    await deploy();
    place.write({ '2_more': 'create table more (id int primary key);' });
    // What an empty database has is kept nowhere; the second finds what the first has made, and leaves its own.
    expect(await expectedRows()).toBe(1);
    expect(await deploy()).toMatchObject({ state: 'succeeded' });
    expect(await expectedRows()).toBe(2);
  });

  test('is not what a dump and a restore make of a schema', async () => {
    await open(target.url);
    place.write(first);
    await deploy();
    await close();
    const restored = await createDatabase();
    try {
      const { directory } = await findPrograms({ searchPath: programDirectories() }, 15);
      const env = (url: string) => ({ env: { ...parseTarget(url).libpqEnvironment } });
      const dump = execFileSync(`${directory}/pg_dump`, [], env(target.url));
      execFileSync(`${directory}/psql`, ['-qX'], {
        ...env(restored.url),
        input: dump,
        stdio: ['pipe', 'ignore', 'inherit'],
      });
      expect(await rowsOf(restored.url, 'select migration_name from _prisma_migrations')).toHaveLength(1);
      await open(restored.url);
      place.write(first);
      expect(await check()).toMatchObject({ drifted: false });
      await close();
    } finally {
      await restored.drop();
      await open(target.url);
    }
  });

  test.each([
    "create function f() returns void language plpgsql as $$ begin perform dblink_exec('x', 'y'); end $$;",
    'do $$ begin if false then create role nobody; end if; create table by_code (id int primary key); end $$;',
  ])('is not known, and stops nothing, where a replay would change the whole server: %s', async (sql) => {
    await open(target.url);
    place.write({ '1_beyond': sql });
    expect(await deploy()).toMatchObject({ state: 'succeeded' });
    place.write({ '2_more': 'create table more (id int primary key);' });
    expect(await deploy()).toMatchObject({ state: 'succeeded', error: null });
    const job = await place.finished(await place.ask(driftCheck, {}));
    expect(job).toMatchObject({
      state: 'failed',
      error: { code: 'DRIFT_UNKNOWN', detail: expect.stringContaining('1_beyond, line 1') as string },
    });
  });

  test('is not known where a migration that was applied is not there any more', async () => {
    await open(target.url);
    place.write(first);
    await deploy();
    await place.query("update _prisma_migrations set migration_name = '0_squashed'");
    const job = await place.finished(await place.ask(driftCheck, {}));
    expect(job).toMatchObject({
      state: 'failed',
      error: { code: 'DRIFT_UNKNOWN', detail: expect.stringContaining('0_squashed') as string },
    });
  });
});
