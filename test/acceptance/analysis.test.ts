/** What rules forbid stops a deployment, and what is allowed by name does not. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type App, buildApp } from '../../src/api/app.ts';
import { type RunningWorker, startWorker } from '../../src/jobs/worker.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';
import { type DeployPlace, openDeployPlace } from './deploy-place.ts';

const quick = { heartbeatMs: 200, staleMs: 1_500, repairMs: 200 };
const scopes = ['read', 'operate', 'approve'] as const;
type Scope = (typeof scopes)[number];
const tokens = scopes.map((scope) => ({
  name: scope,
  sha256: createHash('sha256').update(scope).digest('hex'),
  scopes: [scope],
}));

let target: TestDatabase;
let place: DeployPlace;
let app: App;
const workers: RunningWorker[] = [];

beforeEach(async () => {
  target = await createDatabase();
});
afterEach(async () => {
  for (const worker of workers.splice(0)) await worker.stop();
  await app.close();
  await place.close();
  await target.drop();
});

const work = async (): Promise<void> => void workers.push(await startWorker(place.switchback.deps, quick));

async function open(policy: Record<string, unknown> = {}, worker = true): Promise<void> {
  const backup = { never: 'tested elsewhere' };
  place = await openDeployPlace(target.url, { settings: { tokens }, policy: { backup, ...policy } });
  app = await buildApp(place.switchback.deps);
  if (worker) await work();
}

async function call(as: Scope, url: string, payload?: object) {
  const answer = await app.inject({
    url,
    headers: { authorization: `Bearer ${as}` },
    ...(payload === undefined ? {} : { method: 'POST', payload }),
  });
  return { status: answer.statusCode, body: answer.json() };
}

/** Deploys over HTTP; the job at its end. */
async function deploy(allow: object[] = [], as: Scope = 'approve') {
  const { status, body } = await call(as, '/api/deployments', { database: 'orders', allow });
  expect(status, JSON.stringify(body)).toBe(202);
  const job = await place.finished(body.job.id);
  return { ...job, report: (await call('read', `/api/deployments/${body.id}`)).body.report };
}

const plan = async (allow: object[] = []) =>
  (await call('operate', '/api/plans', { database: 'orders', allow })).body;

const exists = async (table: string): Promise<boolean> =>
  (await place.query<{ there: boolean }>(`select to_regclass('${table}') is not null as there`))[0]?.there ??
  false;

const made = {
  '20260101000000_make':
    'CREATE TABLE orders (id int PRIMARY KEY, note text);\nCREATE TABLE old (id int PRIMARY KEY);\n',
};
const drop = { '20260102000000_drop': '-- AlterTable\nDROP TABLE old;\n' };
const reason = 'nobody has used it since release 12';
const refusal = {
  state: 'failed',
  error: {
    code: 'PLAN_HAS_VIOLATIONS',
    details: { rule: 'drop-table', migration: '20260102000000_drop', line: 2 },
  },
};

/** A database whose tables are in use, and a migration that drops one. */
async function inUse(policy: Record<string, unknown> = {}): Promise<void> {
  await open(policy);
  place.write(made);
  expect(await deploy()).toMatchObject({ state: 'succeeded' });
  await place.query('insert into old select generate_series(1, 10)');
  place.write(drop);
}

describe('a dangerous migration', () => {
  test('stops, with the rule, the place and what to do instead, and nothing is done', async () => {
    await inUse();
    const job = await deploy();
    expect(job).toMatchObject(refusal);
    const { detail, details } = job.error as { detail: string; details: { faults: object[] } };
    expect(detail).toMatch(
      /^20260102000000_drop, line 2: Dropping "?old"? .*\(drop-table\) Nothing was done\. Instead: /s,
    );
    expect(details.faults).toEqual([
      expect.objectContaining({
        rule: 'drop-table',
        severity: 'stop',
        table: 'public.old',
        effect: 'dataLoss',
      }),
    ]);
    expect(await exists('old')).toBe(true);
    expect(await place.query('select * from _prisma_migrations')).toHaveLength(1);
    expect(job.report).toMatchObject({
      outcome: 'failed',
      migrations: [
        { outcome: 'not started', verdict: 'dangerous', violations: [{ rule: 'drop-table', allowed: null }] },
      ],
    });
  });

  test('is deployed when somebody who may approve allows the rule by name', async () => {
    await inUse();
    const allow = [{ code: 'drop-table', reason }];
    const refused = await call('operate', '/api/deployments', { database: 'orders', allow });
    expect(refused).toMatchObject({
      status: 403,
      body: { code: 'SCOPE_MISSING', details: { needed: 'approve' } },
    });
    const job = await deploy(allow);
    expect(job).toMatchObject({ state: 'succeeded', result: { applied: ['20260102000000_drop'] } });
    expect(await exists('old')).toBe(false);
    expect(job.report).toMatchObject({
      allowances: [{ code: 'drop-table', reason }],
      migrations: [{ verdict: 'dangerous', violations: [{ rule: 'drop-table', line: 2, allowed: reason }] }],
    });
    expect(job.report.markdown).toContain(`Allowed: ${reason}`);
    expect(job.report.markdown).toContain('verdict dangerous');
  });

  test('is not deployed when another rule, or the rule in another migration, is allowed', async () => {
    await inUse();
    expect(await deploy([{ code: 'truncate', reason }])).toMatchObject(refusal);
    expect(await deploy([{ code: 'drop-table', migration: '20260101000000_make', reason }])).toMatchObject(
      refusal,
    );
    expect(await deploy([{ code: 'no-such-rule', reason }])).toMatchObject({
      error: { code: 'ALLOWANCE_UNKNOWN' },
    });
    expect(await exists('old')).toBe(true);
  });

  test('is deployed when its file says why', async () => {
    await inUse();
    place.write({ '20260102000000_drop': `-- switchback: allow drop-table: ${reason}\nDROP TABLE old;\n` });
    const job = await deploy([], 'operate');
    expect(job).toMatchObject({ state: 'succeeded' });
    expect(job.report).toMatchObject({
      migrations: [{ verdict: 'safe', violations: [{ rule: 'drop-table', allowed: reason }] }],
    });
  });

  test.each([
    ['allows it', { allow: [{ code: 'drop-table', reason }] }],
    ['gives the rule another severity', { analysis: { rules: { 'drop-table': 'caution' } } }],
    ['has the rule off', { analysis: { rules: { 'drop-table': 'off' } } }],
  ])('is deployed when the policy %s', async (_, policy) => {
    await inUse(policy);
    expect(await deploy([], 'operate')).toMatchObject({ state: 'succeeded' });
  });

  test('is as dangerous in a plan, in the state of the database and in its own details', async () => {
    await inUse();
    const { body } = await plan();
    expect(body).toMatchObject({
      analysis: {
        verdict: 'dangerous',
        basis: { facts: true },
        migrations: [
          {
            name: '20260102000000_drop',
            effects: ['dataLoss'],
            statements: [
              { line: 2, verdict: 'dangerous', locks: [{ table: 'public.old', mode: 'ACCESS EXCLUSIVE' }] },
            ],
          },
        ],
      },
      faults: [{ code: 'PLAN_HAS_VIOLATIONS', rule: 'drop-table', severity: 'stop' }],
    });
    expect((await plan([{ code: 'drop-table', reason }])).body.faults).toMatchObject([{ allowed: reason }]);
    expect((await call('read', '/api/databases/orders')).body.faults).toMatchObject([{ rule: 'drop-table' }]);
    await deploy();
    const migrations = '/api/databases/orders/migrations';
    expect((await call('read', `${migrations}/20260102000000_drop`)).body).toMatchObject({
      state: 'pending',
      analysis: { verdict: 'dangerous', violations: [{ rule: 'drop-table', remedy: expect.any(String) }] },
      log: null,
    });
    expect((await call('read', `${migrations}/20260101000000_make`)).body).toMatchObject({
      state: 'applied',
      analysis: { verdict: 'safe', statements: [{ line: 1 }, { line: 2 }] },
      log: { outcome: 'applied', verdict: 'safe', tries: 1, deployment: expect.any(String) },
    });
  });
});

describe('what did not exist before the deployment', () => {
  test('may be dropped again by it: no release uses it', async () => {
    await open();
    place.write({ ...made, ...drop });
    expect(await deploy([], 'operate')).toMatchObject({ state: 'succeeded' });
    expect(await exists('old')).toBe(false);
  });

  test('examples/globalrx on an empty database', async () => {
    await open();
    const folder = path.resolve(import.meta.dirname, '../../examples/globalrx/prisma/migrations');
    const names = readdirSync(folder).filter((name) => /^\d/.test(name));
    const read = (name: string): string => readFileSync(path.join(folder, name, 'migration.sql'), 'utf8');
    place.write(Object.fromEntries(names.map((name) => [name, read(name)])));
    expect(await deploy([], 'operate')).toMatchObject({ state: 'succeeded', error: null });
  });

  test('stays new to a worker that goes on where another was killed', async () => {
    await open({}, false);
    place.write({ ...made, '20260102000000_drop': 'SELECT pg_sleep(1);\nDROP TABLE old;\n' });
    const child = await place.startWorkerProcess();
    const { body } = await call('operate', '/api/deployments', { database: 'orders' });
    await place.running('pg_sleep(1)');
    child.kill('SIGKILL');
    await work();
    expect(await place.finished(body.job.id)).toMatchObject({ state: 'succeeded', error: null, attempt: 2 });
    expect(await exists('old')).toBe(false);
  });
});

test('the figures of the database decide: 200 rows are safe, 200 million are minutes', async () => {
  await open();
  place.write(made);
  await deploy();
  await place.query(`insert into orders select i, 'note' from generate_series(1, 200) i; analyze orders`);
  place.write({ '20260103000000_index': 'CREATE INDEX orders_note ON orders (note);\n' });
  expect((await plan()).body).toMatchObject({ analysis: { verdict: 'safe' }, faults: [] });
  await place.query("update pg_class set reltuples = 2e8, relpages = 2e6 where relname = 'orders'");
  const { body } = await plan();
  expect(body.analysis.verdict).toBe('caution');
  expect(body.faults).toEqual([
    expect.objectContaining({
      rule: 'index-without-concurrently',
      severity: 'warn',
      message: expect.stringMatching(/200,000,000 rows.*about \d+ min/),
    }),
  ]);
  expect(await deploy()).toMatchObject({ state: 'succeeded' });
});
