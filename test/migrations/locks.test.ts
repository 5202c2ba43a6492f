import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Session } from '../../src/db/session.ts';
import type { ApplyEvent } from '../../src/migrations/apply.ts';
import { createDatabase } from '../support/postgres.ts';
import { bundleOf, deploy, historyOf, once, openClient, rowsOf, tablesOf } from './deploy.ts';
import { prismaEngine } from './prisma-engine.ts';

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

const remark = (event: ApplyEvent): boolean => event.type === 'remark';

describe('a table that somebody else holds', () => {
  test('the segment is rolled back and tried again; it is said who was in the way', async () => {
    await other.query('begin; lock table b in access share mode');
    let freed: Promise<unknown> | undefined;
    const [outcome] = await deploy(url, files('alter table a add x int; alter table b add x int'), {
      lockTimeoutMs: 150,
      report: once(remark, () => {
        // Between tries nothing of ours holds a lock: others get through.
        freed = rowsOf(url, 'select * from a').then(() => other.query('commit'));
      }),
    });
    await freed;
    expect(outcome?.tries).toBeGreaterThan(1);
    expect(outcome?.remarks[0]).toMatch(
      /try 1 rolled back \(LOCK_TIMEOUT, SQLSTATE 55P03\); in the way: process \d+ \(somebody else, role \w+, idle in transaction/,
    );
  });

  test('when the budget is used up nothing is left', async () => {
    await other.query('begin; lock table b in access share mode');
    await expect(
      deploy(url, files('alter table a add x int; alter table b add x int'), {
        lockTimeoutMs: 100,
        lockBudgetMs: 400,
      }),
    ).rejects.toMatchObject({
      code: 'LOCK_TIMEOUT',
      message: expect.stringMatching(
        /line 1, column 26: .*In the way: process \d+ \(somebody else.*nothing of it is left/,
      ),
      details: { sqlstate: '55P03', migration: '2_it' },
    });
    expect((await historyOf(url)).at(-1)).toMatchObject({ name: '2_it', finished: false, rolledBack: true });
  });

  test('waits for several locks of one statement add up to the limit, not more', async () => {
    await other.query('begin; lock table a in access share mode');
    const third = await openClient(url);
    try {
      await third.query('begin; lock table b in access share mode');
      const startedAt = performance.now();
      const freeing = new Promise<void>((resolve) => {
        setTimeout(() => resolve(other.query('commit').then(() => undefined)), 500);
      });
      await expect(
        deploy(url, files('drop table a, b'), { lockTimeoutMs: 700, lockBudgetMs: 0 }),
      ).rejects.toMatchObject({ code: 'LOCK_TIMEOUT' });
      await freeing;
      // 500 ms for the first and 700 ms for the second would be 1,200.
      expect(performance.now() - startedAt).toBeLessThan(1_150);
    } finally {
      await third.close();
    }
  });

  test('a lock_timeout of the file holds', async () => {
    await other.query('begin; lock table b in access share mode');
    const freeing = new Promise<void>((resolve) => {
      setTimeout(() => resolve(other.query('commit').then(() => undefined)), 600);
    });
    const [outcome] = await deploy(url, files("set lock_timeout = '20s'; alter table b add x int"), {
      lockTimeoutMs: 100,
    });
    await freeing;
    expect(outcome?.tries).toBe(1);
  });

  test('long work before a lock does not use up the time for it', async () => {
    await other.query('begin; lock table b in access share mode');
    const freeing = new Promise<void>((resolve) => {
      setTimeout(() => resolve(other.query('commit').then(() => undefined)), 800);
    });
    const sql = 'alter table a add x int; select pg_sleep(0.6); alter table b add x int';
    const [outcome] = await deploy(url, files(sql), { lockTimeoutMs: 500 });
    await freeing;
    expect(outcome?.tries).toBe(1);
  });

  test('a deadlock is tried again', async () => {
    await other.query("set deadlock_timeout = '10s'; begin; lock table b");
    let crossing: Promise<unknown> | undefined;
    const [outcome] = await deploy(
      url,
      files(
        "set deadlock_timeout = '100ms'; alter table a add x int; select pg_sleep(0.3); alter table b add x int",
      ),
      {
        lockTimeoutMs: 5_000,
        report: once(
          (event) => event.type === 'step' && event.step.statement === 3,
          () => {
            crossing = other.query('lock table a').then(() => other.query('commit'));
          },
        ),
      },
    );
    await crossing;
    expect(outcome).toMatchObject({ tries: 2, remarks: [expect.stringContaining('40P01')] });
  });
});

describe("Prisma's lock", () => {
  test('is waited for; it is said who holds it', async () => {
    await other.query('select pg_advisory_lock(72707369)');
    const waits: string[] = [];
    await deploy(url, files('create table c ()'), {
      report: (event) => {
        if (event.type !== 'waiting') return;
        waits.push(event.wait.holders);
        void other.query('select pg_advisory_unlock(72707369)');
      },
    });
    expect(waits[0]).toMatch(/process \d+ \(somebody else\)/);
  });

  test('that is not let go ends in LOCK_TIMEOUT, and nothing was done', async () => {
    await other.query('select pg_advisory_lock(72707369)');
    await expect(deploy(url, files('create table c ()'), { lockBudgetMs: 300 })).rejects.toMatchObject({
      code: 'LOCK_TIMEOUT',
      message: expect.stringContaining('somebody else'),
    });
    expect(await tablesOf(url)).toEqual(['a', 'b']);
  });

  test('is held while migrations run, and let go afterwards', async () => {
    let held: Promise<{ free: boolean }[]> | undefined;
    await deploy(url, files('create table c (); select pg_sleep(0.2)'), {
      report: once(
        (event) => event.type === 'step',
        () => {
          held = rowsOf(url, 'select pg_try_advisory_lock(72707369) as free');
        },
      ),
    });
    expect(await held).toEqual([{ free: false }]);
    expect(await rowsOf(url, 'select pg_try_advisory_lock(72707369) as free')).toEqual([{ free: true }]);
  });

  test('a waiting `prisma migrate deploy` does not hang a CONCURRENTLY build', async () => {
    let prisma: Promise<{ rows: { unfinished: boolean }[] }> | undefined;
    const [outcome] = await deploy(
      url,
      files('alter table a add x int; create index concurrently a_x on a (x); select 1'),
      {
        report: once(
          (event) => event.type === 'step' && event.step.statement === 1,
          () => {
            // What Prisma does: waits for its lock with a snapshot, then looks for unfinished migrations.
            prisma = other
              .query(
                'select pg_advisory_lock(72707369); select bool_or(finished_at is null and rolled_back_at is null) as unfinished from _prisma_migrations; select pg_advisory_unlock(72707369)',
              )
              .then(() => other.query('select 1')) as typeof prisma;
          },
        ),
      },
    );
    await prisma;
    expect(outcome?.segments).toBe(3);
  });
});

test("Prisma's own deploy that waits for us goes on when we are done", async () => {
  const after = files('create index concurrently a_id on a (id); select pg_sleep(0.3)');
  const bundle = await bundleOf({ ...after, '3_theirs': 'create table theirs ()' });
  let theirs: Promise<unknown> | undefined;
  await deploy(url, after, {
    report: once(
      (event) => event.type === 'step' && event.step.statement === 1,
      () => {
        // While our migration is unfinished it is refused (P3009) when it gets its lock, and waits otherwise.
        theirs = prismaEngine(url)
          .deploy(bundle)
          .catch(() => 'refused');
      },
    ),
  });
  expect([['3_theirs'], 'refused']).toContainEqual(await theirs);
  await prismaEngine(url)
    .deploy(bundle)
    .then((applied) => expect(applied.length).toBeLessThan(2));
  expect(await prismaEngine(url).diagnose(bundle)).toEqual({ pending: [], failed: [], edited: [] });
});

test('a plan that is no longer right is refused', async () => {
  const applying = { ...files('create table c ()') };
  await other.query('select pg_advisory_lock(72707369)');
  await expect(
    deploy(url, applying, {
      report: once(
        (event) => event.type === 'waiting',
        () => {
          void other.query(
            "insert into _prisma_migrations (id, checksum, migration_name, finished_at) values ('x', 'x', '2_it', now()); select pg_advisory_unlock(72707369)",
          );
        },
      ),
    }),
  ).rejects.toMatchObject({ code: 'PLAN_STALE' });
  expect(await tablesOf(url)).toEqual(['a', 'b']);
});
