/** A deployment that keeps, and a rollback, are killed at every boundary, and gone on with. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createDatabase } from '../support/postgres.ts';
import {
  bundleOf,
  deploy,
  historyOf,
  openClient,
  type Reversal,
  reversalsOf,
  rollBack,
  rowsOf,
} from './deploy.ts';
import { prismaEngine } from './prisma-engine.ts';

let url: string;
let drop: () => Promise<void>;

beforeEach(async () => {
  ({ url, drop } = await createDatabase());
});
afterEach(() => drop());

/** Works in another process and kills it (`kill -9`) when the statement has begun and `ready` has come true. */
async function killAt(
  statement: number,
  direction: 'forth' | 'back',
  files: Readonly<Record<string, string>>,
  options: object,
  ready: () => Promise<unknown> = async () => {},
): Promise<void> {
  const script = fileURLToPath(new URL('apply-process.ts', import.meta.url));
  const child = spawn(
    process.execPath,
    ['--import', 'tsx', script, url, 'job', JSON.stringify(files), direction, JSON.stringify(options)],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const ended = once(child, 'exit');
  for await (const line of createInterface({ input: child.stdout })) {
    if (line !== `step ${statement}`) continue;
    await ready();
    break;
  }
  child.kill('SIGKILL');
  await ended;
}

const seed = `create table a (id int primary key, n text not null, m int); create table b (id int primary key);
  create table log (n int); insert into a select i, 'n' || i, i from generate_series(1, 4) i; insert into b values (1), (2)`;
const forth = [
  'insert into log values (1)',
  'drop table b',
  'create index concurrently a_m on a (m)',
  'alter table a drop column n',
  'begin',
  'update a set m = m + 1',
  'delete from a where id = 4',
  'commit',
  'vacuum a',
  'insert into log values (10)',
].join(';\n');
const back = [
  'insert into log values (-1)',
  'create table b (id int primary key)',
  'drop index concurrently a_m',
  'begin',
  'alter table a add column n text',
  '-- switchback: restore',
  'alter table a alter column n set not null',
  'commit',
  'vacuum a',
  'insert into log values (-10)',
]
  .join(';\n')
  .replace('restore;', 'restore');
const files = { '1_seed': seed, '2_b': forth };

const sql = {
  a: 'select id, m::int, n from a order by id',
  b: 'select id from b order by id',
  log: 'select n from log order by n',
};
const kept = () =>
  rowsOf<{ what: string }>(
    url,
    "select direction || ' ' || kind || ' ' || table_name || ' ' || rows || ' ' || state as what from switchback_vault.entry order by number",
  );

async function expectForth(): Promise<void> {
  expect(await rowsOf(url, 'select id, m from a order by id')).toEqual(
    [1, 2, 3].map((id) => ({ id, m: id + 1 })),
  );
  expect((await kept()).map(({ what }) => what)).toEqual([
    'forth changes log 1 kept',
    'forth table b 2 kept',
    'forth column a 4 kept',
    'forth changes a 4 kept',
    'forth changes a 1 kept',
    'forth changes log 1 kept',
  ]);
  expect(await rowsOf(url, sql.log)).toEqual([{ n: 1 }, { n: 10 }]);
  expect(await rowsOf(url, 'select 1 from switchback.step')).toEqual([]);
}

describe('a deployment', () => {
  test.each([1, 2, 3, 4, 6, 7, 9, 10])('killed at statement %i keeps everything once', async (statement) => {
    await deploy(url, { '1_seed': seed });
    await killAt(statement, 'forth', files, { vault: {} });
    const [outcome] = await deploy(url, files, { jobId: 'job', vault: {} });
    await expectForth();
    expect(outcome?.kept).toHaveLength(6);
  });
});

describe('a rollback', () => {
  beforeEach(async () => {
    await deploy(url, { '1_seed': seed });
    await deploy(url, files, { vault: {} });
    await rowsOf(url, 'insert into a values (9, 9)');
  });

  const expectBack = async (): Promise<void> => {
    expect(await rowsOf(url, sql.a)).toEqual(
      [1, 2, 3, 4, 9].map((id) => ({ id, m: id, n: id === 9 ? null : `n${id}` })),
    );
    expect(await rowsOf(url, sql.b)).toEqual([{ id: 1 }, { id: 2 }]);
    expect(await rowsOf(url, sql.log)).toEqual([{ n: -10 }, { n: -1 }]);
    expect(await rowsOf(url, 'select 1 from switchback.step')).toEqual([]);
    expect(
      (await historyOf(url)).map(({ finished, rolledBack, logs }) => [finished, rolledBack, logs]),
    ).toEqual([
      [true, false, null],
      [true, true, null],
    ]);
    expect(await prismaEngine(url).diagnose(await bundleOf(files))).toEqual({
      pending: ['2_b'],
      failed: [],
      edited: [],
    });
    expect(
      (await kept())
        .filter(({ what }) => what.startsWith('forth'))
        .every(({ what }) => what.endsWith('restored')),
    ).toBe(true);
  };

  test('in several transactions', async () => {
    const [outcome] = await rollBack(url, { '2_b': back });
    await expectBack();
    expect(outcome?.leftNullable).toEqual([{ table: '"a"', column: 'n', rows: 1 }]);
    expect(outcome?.restored).toHaveLength(6);
  });

  test.each([1, 2, 3, 5, 6, 7, 9, 10])('killed at statement %i goes on from there', async (statement) => {
    const reversals = await reversalsOf(url, { '2_b': back });
    await killAt(statement, 'back', { '2_b': back }, {});
    if (statement > 1) {
      await expect(deploy(url, files, { jobId: 'job' })).rejects.toMatchObject({
        code: 'ROLLBACK_UNFINISHED',
      });
      expect(await prismaEngine(url).diagnose(await bundleOf(files))).toMatchObject({ failed: ['2_b'] });
    }
    const [outcome] = await rollBack(url, {}, { reversals, jobId: 'job', resumes: true });
    await expectBack();
    expect(outcome?.leftNullable).toEqual([{ table: '"a"', column: 'n', rows: 1 }]);
    expect(outcome?.kept).toHaveLength(2);
  });

  test('of several migrations, killed in the second one: the first is passed over', async () => {
    const more = { ...files, '3_c': 'create table c (id int)' };
    await deploy(url, more, { vault: {} });
    const texts = { '3_c': 'drop table c', '2_b': back };
    const reversals: Reversal[] = await reversalsOf(url, texts);
    await killAt(9, 'back', texts, {});
    await expect(rollBack(url, {}, { reversals, jobId: 'job' })).rejects.toMatchObject({
      code: 'MIGRATION_NOT_APPLIED',
      message: expect.stringContaining('it was taken back on'),
    });
    const outcomes = await rollBack(url, {}, { reversals, jobId: 'job', resumes: true });
    expect(outcomes.map(({ name }) => name)).toEqual(['2_b']);
  });

  test('one that fails half-way says what is there, keeps others out, and goes on once its way is free', async () => {
    await rowsOf(url, 'create view v as select m from a; alter view v rename column m to x');
    const failing = back.replace('add column n text', 'add column n text, alter column m type bigint');
    const reversals = await reversalsOf(url, { '2_b': failing });
    await expect(rollBack(url, {}, { reversals })).rejects.toMatchObject({
      code: 'ROLLBACK_UNFINISHED',
      message: expect.stringMatching(/2_b is half done.*line\(s\) 1, 2, 3\..*roll back again/),
    });
    await expect(deploy(url, files)).rejects.toMatchObject({ code: 'ROLLBACK_UNFINISHED' });
    await expect(rollBack(url, { '2_b': back })).rejects.toMatchObject({ code: 'RESUME_REFUSED' });
    await rowsOf(url, 'drop view v');
    await rollBack(url, {}, { reversals });
    await expectBack();
  });

  test('one whose first transaction fails leaves the migration applied', async () => {
    await expect(rollBack(url, { '2_b': `insert into log values ('x');${back}` })).rejects.toMatchObject({
      code: 'STATEMENT_FAILED',
      message: expect.stringContaining('the migration is applied as before'),
    });
    await expectHistoryUntouched();
    await expect(rollBack(url, { '2_b': 'drop table no_such' })).rejects.toMatchObject({
      code: 'STATEMENT_FAILED',
    });
    await expectHistoryUntouched();
    await rollBack(url, { '2_b': back });
    await expectBack();
  });

  async function expectHistoryUntouched(): Promise<void> {
    expect(
      (await historyOf(url)).map(({ finished, rolledBack, logs }) => [finished, rolledBack, logs]),
    ).toEqual([
      [true, false, null],
      [true, false, null],
    ]);
  }

  test('cancelled half-way is gone on with', async () => {
    const blocker = await openClient(url);
    await blocker.query('begin; lock table a in access share mode');
    const abort = new AbortController();
    const waiting = back.replace('drop index concurrently a_m', 'vacuum log');
    const reversals = await reversalsOf(url, { '2_b': waiting });
    await expect(
      rollBack(
        url,
        {},
        {
          reversals,
          lockTimeoutMs: 20_000,
          signal: abort.signal,
          report: (event) => {
            if (event.type === 'step' && event.step.statement === 5) abort.abort();
          },
        },
      ),
    ).rejects.toMatchObject({ code: 'ROLLBACK_UNFINISHED', details: { because: 'JOB_CANCELLED' } });
    await blocker.close();
    await rollBack(url, {}, { reversals });
    await expectBack();
  });
});
