import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { AppError } from '../../src/errors.ts';
import { createDatabase, startServer } from '../support/postgres.ts';
import { deploy, historyOf, openClient, rowsOf, tablesOf } from './deploy.ts';

let url: string;
let drop: () => Promise<void>;

beforeEach(async () => {
  ({ url, drop } = await createDatabase());
});
afterEach(() => drop());

type Files = Record<string, string>;

/** Deploys in another process and kills it (`kill -9`) when the statement has begun and `ready` has come true. */
async function killAt(
  statement: number,
  files: Files,
  ready: () => Promise<unknown> = async () => {},
): Promise<void> {
  const script = fileURLToPath(new URL('apply-process.ts', import.meta.url));
  const child = spawn(process.execPath, ['--import', 'tsx', script, url, 'job', JSON.stringify(files)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  for await (const line of createInterface({ input: child.stdout })) {
    if (line !== `step ${statement}`) continue;
    await ready();
    break;
  }
  child.kill('SIGKILL');
  await ended;
}

/** Resolves when our backend waits for something in a statement of this beginning. */
async function untilRunning(text: string): Promise<void> {
  const client = await openClient(url, 'test');
  try {
    for (const deadline = Date.now() + 10_000; Date.now() < deadline; ) {
      const { rows } = await client.query(
        "select 1 from pg_stat_activity where application_name = 'switchback:job' and state = 'active' and query ilike $1",
        [`%${text}%`],
      );
      if (rows.length > 0) return;
    }
  } finally {
    await client.close();
  }
  throw new Error(`no backend ran ${text}`);
}

const backends = () =>
  rowsOf<{ n: number }>(
    url,
    "select count(*)::int as n from pg_stat_activity where application_name like 'switchback:job%'",
  );

const finished = (name: string) => ({ name, finished: true, rolledBack: false, logs: null, steps: 1 });

test('killed inside the only transaction: nothing is left, and the orphan is ended by its successor', async () => {
  const files = { '1_a': 'create table a (); select pg_sleep(60)' };
  await killAt(2, files, () => untilRunning('pg_sleep'));
  expect(await backends()).toEqual([{ n: 1 }]);
  const events: string[] = [];
  await deploy(
    url,
    { '1_a': 'create table a ()' },
    { jobId: 'job', report: ({ type }) => events.push(type) },
  );
  expect(events).toContain('orphans ended');
  expect(await historyOf(url)).toEqual([finished('1_a')]);
});

test("another job waits until the orphan's statement has ended", async () => {
  await killAt(2, { '1_a': 'create table a (); select pg_sleep(1.5)' }, () => untilRunning('pg_sleep'));
  const waits: string[] = [];
  await deploy(
    url,
    { '1_a': 'create table a ()' },
    {
      jobId: 'another',
      lockBudgetMs: 20_000,
      report: (event) => event.type === 'waiting' && waits.push(event.wait.holders),
    },
  );
  expect(waits[0]).toContain('switchback:job');
  expect(await tablesOf(url)).toEqual(['a']);
});

describe('killed between and inside the statements of a file of several segments', () => {
  const statements = [
    'create table log (n int)',
    'insert into log values (2)',
    'create index concurrently log_n on log (n)',
    'insert into log values (4)',
    'insert into log values (5)',
    'vacuum log',
    'begin',
    'insert into log values (8)',
    'commit',
    'drop index concurrently log_n',
    'insert into log values (11)',
  ];
  const files = { '1_a': statements.join(';\n') };

  test.each([1, 2, 3, 4, 5, 6, 8, 10, 11])(
    'at statement %i: each takes effect exactly once',
    async (statement) => {
      await killAt(statement, files);
      await deploy(url, files, { jobId: 'job' });
      expect(await rowsOf(url, 'select n from log order by n')).toEqual([2, 4, 5, 8, 11].map((n) => ({ n })));
      expect(await rowsOf(url, "select 1 from pg_class where relname = 'log_n'")).toEqual([]);
      expect((await historyOf(url)).filter((row) => !row.rolledBack)).toEqual([finished('1_a')]);
      expect(await rowsOf(url, 'select 1 from switchback.step')).toEqual([]);
    },
  );
});

test('killed while CONCURRENTLY builds: the invalid index is dropped, and built again', async () => {
  const before = { '1_a': 'create table a (id int); insert into a values (1)' };
  await deploy(url, before);
  const files = {
    ...before,
    '2_b': `create schema other; set search_path = other; create table marker ();
            create index concurrently a_id on public.a (id); create table after ()`,
  };
  const old = await openClient(url);
  await old.query('begin isolation level repeatable read; select * from a');
  await killAt(4, files, () => untilRunning('create index concurrently'));
  const [outcome] = await deploy(url, files, {
    jobId: 'job',
    report: ({ type }) => {
      // Before, the orphan would have finished its build.
      if (type === 'orphans ended') void old.close();
    },
  });
  expect(outcome?.remarks).toContainEqual(expect.stringContaining('resumed: 1 segment(s)'));
  expect(await rowsOf(url, "select indisvalid from pg_index where indexrelid = 'a_id'::regclass")).toEqual([
    { indisvalid: true },
  ]);
  // The settings of the finished part hold for the rest, too.
  expect(await rowsOf(url, "select to_regclass('other.after') is not null as there")).toEqual([
    { there: true },
  ]);
  expect((await historyOf(url)).map(({ name, finished: done }) => [name, done])).toEqual([
    ['1_a', true],
    ['2_b', true],
  ]);
});

test('a step of which nobody can tell is not run again, and is named', async () => {
  const files = {
    '1_a': 'create table a (n int)',
    '2_b':
      'vacuum a; do $$ begin insert into a values (1); commit; perform pg_sleep(60); end $$; insert into a values (2)',
  };
  await killAt(2, files, () => untilRunning('pg_sleep'));
  await expect(deploy(url, files, { jobId: 'job' })).rejects.toMatchObject({
    code: 'STEP_UNKNOWN',
    message: expect.stringMatching(/2_b, line 1: .*In the database: the statements on line\(s\) 1\./),
  });
  expect(await rowsOf(url, 'select n from a')).toEqual([{ n: 1 }]);
  await expect(deploy(url, files)).rejects.toMatchObject({ code: 'MIGRATION_FAILED_BEFORE' });
});

test('temporary tables went with their session: going on is refused', async () => {
  const files = {
    '1_a': 'create temp table t (n int); vacuum; select pg_sleep(60); insert into t values (1)',
  };
  await killAt(3, files, () => untilRunning('pg_sleep'));
  await expect(deploy(url, files, { jobId: 'job' })).rejects.toMatchObject({ code: 'RESUME_REFUSED' });
});

test('a worker that shuts down leaves the rest to its successor', async () => {
  const files = { '1_a': 'create table a (n int); vacuum a; insert into a values (1); select pg_sleep(60)' };
  const abort = new AbortController();
  await expect(
    deploy(url, files, {
      jobId: 'job',
      signal: abort.signal,
      report: (event) => {
        if (event.type === 'step' && event.step.statement === 4)
          void untilRunning('pg_sleep').then(() =>
            abort.abort(new AppError('JOB_INTERRUPTED', 'The worker stops.')),
          );
      },
    }),
  ).rejects.toMatchObject({ code: 'JOB_INTERRUPTED' });
  expect(await historyOf(url)).toMatchObject([{ finished: false, rolledBack: false, logs: null }]);
  await killAt(4, files, () => untilRunning('pg_sleep'));
  expect(await rowsOf(url, 'select * from a')).toEqual([]);
});

test('a backend that is ended in mid-migration: the next deployment goes on', async () => {
  const files = { '1_a': 'create table a (n int); vacuum a; insert into a values (1); select pg_sleep(0.3)' };
  await expect(
    deploy(url, files, {
      report: (event) => {
        if (event.type === 'step' && event.step.statement === 4)
          void rowsOf(
            url,
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'switchback:test' and datname = current_database()",
          );
      },
    }),
  ).rejects.toMatchObject({ code: 'DATABASE_UNREACHABLE' });
  await deploy(url, files);
  expect(await rowsOf(url, 'select * from a')).toEqual([{ n: 1 }]);
});

test('PostgreSQL crashes in mid-migration: the next deployment goes on', async () => {
  const server = await startServer(15);
  try {
    const { url: crashing } = await server.createDatabase();
    const files = {
      '1_a': 'create table a (n int); vacuum a; insert into a values (1); select pg_sleep(60)',
    };
    let crash: Promise<void> | undefined;
    await expect(
      deploy(crashing, files, {
        report: (event) => {
          if (event.type === 'step' && event.step.statement === 4) crash = server.restart('immediate');
        },
      }),
    ).rejects.toMatchObject({
      code: 'DATABASE_UNREACHABLE',
      message: expect.stringContaining('Deploy again'),
    });
    await crash;
    expect(await rowsOf(crashing, 'select n from a')).toEqual([]);
    const mended = { '1_a': files['1_a'].replace('60', '0') };
    await expect(deploy(crashing, mended)).rejects.toMatchObject({ code: 'MIGRATION_FAILED_BEFORE' });
    const abort = AbortSignal.timeout(500);
    await expect(deploy(crashing, files, { signal: abort })).rejects.toMatchObject({
      code: 'MIGRATION_HALF_APPLIED',
      details: { because: 'JOB_CANCELLED', applied: [1, 1] },
    });
  } finally {
    await server.stop();
  }
});
