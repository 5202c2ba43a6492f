import { execFileSync } from 'node:child_process';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { programDirectories } from '../../src/config.ts';
import { findPrograms } from '../../src/db/programs.ts';
import { parseTarget } from '../../src/db/target.ts';
import type { Drift } from '../../src/jobs/drift.ts';
import { driftCheck } from '../../src/jobs/kinds/drift-check.ts';
import { type RunningWorker, startWorker } from '../../src/jobs/worker.ts';
import { type DeployPlace, openDeployPlace } from '../acceptance/deploy-place.ts';
import { rowsOf } from '../migrations/deploy.ts';
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

describe('drift', () => {
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
    // One of before the first, one of after it: the second finds that, and leaves its own.
    expect(await expectedRows()).toBe(2);
    expect(await deploy()).toMatchObject({ state: 'succeeded' });
    expect(await expectedRows()).toBe(3);
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
