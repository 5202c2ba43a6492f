import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Session } from '../../src/db/session.ts';
import { AppError } from '../../src/errors.ts';
import { createDatabase } from '../support/postgres.ts';
import { deploy, historyOf, once, openClient, rowsOf, tablesOf } from './deploy.ts';

let url: string;
let drop: () => Promise<void>;
let other: Session;

beforeEach(async () => {
  ({ url, drop } = await createDatabase());
  await deploy(url, {
    '1_before': 'create table a (id int); create table b (id int); insert into a values (1)',
  });
  other = await openClient(url);
});
afterEach(async () => {
  await other.close();
  await drop();
});

const files = (sql: string) => ({
  '1_before': 'create table a (id int); create table b (id int); insert into a values (1)',
  '2_it': sql,
});

describe('cancelling', () => {
  const cancelAt = (statement: number) => {
    const abort = new AbortController();
    const report = once(
      (event) => event.type === 'step' && event.step.statement === statement,
      () => setTimeout(() => abort.abort(new AppError('JOB_CANCELLED', 'Cancelled by the test.')), 100),
    );
    return { signal: abort.signal, report };
  };

  test('ends the running statement; the migration is rolled back whole', async () => {
    const startedAt = performance.now();
    await expect(
      deploy(url, files('create table c (); select pg_sleep(20)'), cancelAt(2)),
    ).rejects.toMatchObject({ code: 'JOB_CANCELLED' });
    expect(performance.now() - startedAt).toBeLessThan(5_000);
    expect(await tablesOf(url)).toEqual(['a', 'b']);
    expect((await historyOf(url)).at(-1)).toMatchObject({ finished: false, rolledBack: true });
    await deploy(url, files('create table c ()'));
  });

  test('ends a wait for a lock', async () => {
    await other.query('begin; lock table b');
    await expect(
      deploy(url, files('alter table b add x int'), {
        ...cancelAt(1),
        lockTimeoutMs: 50,
        lockBudgetMs: 20_000,
      }),
    ).rejects.toMatchObject({ code: 'JOB_CANCELLED' });
    expect((await historyOf(url)).at(-1)).toMatchObject({ finished: false, rolledBack: true });
  });

  test("ends a wait for Prisma's lock", async () => {
    await other.query('select pg_advisory_lock(72707369)');
    const abort = new AbortController();
    await expect(
      deploy(url, files('create table c ()'), {
        signal: abort.signal,
        lockBudgetMs: 20_000,
        report: () => abort.abort(new AppError('JOB_CANCELLED', 'Cancelled by the test.')),
      }),
    ).rejects.toMatchObject({ code: 'JOB_CANCELLED' });
  });

  test('a CONCURRENTLY build that waits for an old transaction leaves no index', async () => {
    await other.query('begin isolation level repeatable read; select 1');
    await expect(
      deploy(url, files('create index concurrently a_id on a (id)'), { ...cancelAt(1), lockBudgetMs: 1_000 }),
    ).rejects.toMatchObject({ code: 'JOB_CANCELLED' });
    expect(await rowsOf(url, "select 1 from pg_class where relname = 'a_id'")).toEqual([]);
  });

  test('an index that cannot be dropped is named, and the migration is half applied', async () => {
    await other.query('begin; insert into a values (2)');
    await expect(
      deploy(url, files('create index concurrently a_id on a (id)'), { ...cancelAt(1), lockBudgetMs: 500 }),
    ).rejects.toMatchObject({
      code: 'MIGRATION_HALF_APPLIED',
      message: expect.stringContaining('public.a_id could not be dropped'),
    });
  });
});
