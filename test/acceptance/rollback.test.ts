/** The whole service: deployed, written to, rolled back over HTTP, and deployed again. */
import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type App, buildApp } from '../../src/api/app.ts';
import { readEvents } from '../../src/db/control/job-rows.ts';
import { type RunningWorker, startWorker } from '../../src/jobs/worker.ts';
import { readDirectory } from '../../src/migrations/read.ts';
import { prismaEngine } from '../migrations/prisma-engine.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';
import { waitFor } from '../support/wait.ts';
import { type DeployPlace, openDeployPlace } from './deploy-place.ts';

const quick = { heartbeatMs: 200, staleMs: 1_500, repairMs: 200 };
const scopes = ['read', 'operate', 'approve'] as const;
type Scope = (typeof scopes)[number];
const tokens = scopes.map((scope) => ({
  name: scope,
  sha256: createHash('sha256').update(scope).digest('hex'),
  scopes: [scope],
}));

const files = {
  '1_users': 'create table users (id int primary key, name text not null, email text);',
  '2_contact': 'create table contacts (id int primary key, note text);\nalter table users drop column email;',
};

let target: TestDatabase;
let place: DeployPlace;
let worker: RunningWorker;
let app: App;

beforeEach(async () => {
  target = await createDatabase();
  place = await openDeployPlace(target.url, {
    settings: { tokens },
    policy: { backup: { never: 'tested elsewhere' }, analysis: { rules: { 'drop-column': 'caution' } } },
  });
  worker = await startWorker(place.switchback.deps, quick);
  app = await buildApp(place.switchback.deps);
});
afterEach(async () => {
  await app.close();
  await worker.stop();
  await place.close();
  await target.drop();
});

const headers = (scope: Scope) => ({ authorization: `Bearer ${scope}` });
const get = async (url: string) => (await app.inject({ url, headers: headers('read') })).json();
const post = async (url: string, payload: object, scope: Scope = 'operate') =>
  (await app.inject({ method: 'POST', url, payload, headers: headers(scope) })).json();

/** Asks for an operation, waits for its end; its record. */
async function done(resource: string, payload: object, scope: Scope = 'operate') {
  const accepted = await post(`/api/${resource}`, { database: 'orders', ...payload }, scope);
  expect(accepted).toMatchObject({ job: { state: 'queued' } });
  await place.finished(accepted.job.id);
  return get(`/api/${resource}/${accepted.id}`);
}

const pending = async (): Promise<string[]> =>
  (await prismaEngine(target.url).diagnose(await readDirectory(place.migrations))).pending;

describe('a deployment that removed a column', () => {
  let deployed: { id: string };
  beforeEach(async () => {
    place.write({ '1_users': files['1_users'] });
    await done('deployments', {});
    await place.query("insert into users values (1, 'ann', 'ann@example.org'), (2, 'bob', null)");
    place.write(files);
    deployed = await done('deployments', {});
    expect(deployed).toMatchObject({ job: { state: 'succeeded' } });
    await place.query("insert into users values (3, 'cy'); insert into contacts values (7, 'since')");
  });

  test('is rolled back with its data, and deployed again with what was written since', async () => {
    const rolledBack = await done('rollbacks', { deployment: deployed.id });
    expect(rolledBack).toMatchObject({
      job: { state: 'succeeded', error: null },
      deploymentId: deployed.id,
      report: {
        outcome: 'succeeded',
        migrations: [{ name: '2_contact', outcome: 'rolled back', wayBack: { outcome: 'proven' } }],
        verification: [
          { name: 'history', status: 'pass' },
          { name: 'indexes', status: 'pass' },
        ],
        markdown: expect.stringContaining('# Rollback log: orders'),
      },
    });
    expect(await place.query('select id, name, email from users order by id')).toEqual([
      { id: 1, name: 'ann', email: 'ann@example.org' },
      { id: 2, name: 'bob', email: null },
      { id: 3, name: 'cy', email: null },
    ]);
    expect(await place.query("select to_regclass('contacts') as contacts")).toEqual([{ contacts: null }]);
    expect(await pending()).toEqual(['2_contact']);
    const kept = (await get('/api/vault?database=orders')).items;
    expect(kept).toMatchObject([
      { direction: 'back', kind: 'table', table: 'contacts', rows: 1, state: 'kept', conflicts: 0 },
      { direction: 'forth', kind: 'column', table: 'users', columns: ['email'], state: 'restored' },
    ]);

    const refused = await done('deployments', {});
    expect(refused).toMatchObject({ job: { state: 'failed', error: { code: 'MIGRATION_ROLLED_BACK' } } });
    const allow = [{ code: 'MIGRATION_ROLLED_BACK', reason: 'the cause is mended' }];
    const again = await done('deployments', { allow, restore: true }, 'approve');
    expect(again).toMatchObject({ job: { state: 'succeeded' } });
    expect(await place.query('select id, note from contacts')).toEqual([{ id: 7, note: 'since' }]);
    expect(await pending()).toEqual([]);
  });
});

describe('a worker killed with kill -9 in a rollback', () => {
  const slow = {
    '1_marks': 'create table marks (n int primary key);',
    '2_more': 'create table more (n int primary key);',
    '3_index': 'create index concurrently marks_n on marks (n);\ninsert into marks values (3);',
  };
  const back = {
    '2_more': 'select pg_sleep(1);\ndrop table more;',
    '3_index': 'delete from marks;\ndrop index concurrently marks_n;\nselect pg_sleep(1.1);',
  };
  beforeEach(async () => {
    place.write(slow);
    // What is killed here is not the proof.
    for (const [name, sql] of Object.entries(back)) await place.rehearsed(name, sql);
    expect(await done('deployments', {})).toMatchObject({ job: { state: 'succeeded' } });
    await place.query('insert into more values (1), (2)');
    await worker.stop();
  });

  /** Everything was taken back once, and what it removed is kept. */
  async function expectRolledBack(jobId: string): Promise<void> {
    worker = await startWorker(place.switchback.deps, quick);
    expect(await place.finished(jobId)).toMatchObject({
      state: 'succeeded',
      error: null,
      result: { rolledBack: ['3_index', '2_more'] },
    });
    expect(await pending()).toEqual(['2_more', '3_index']);
    expect(
      await place.query(
        "select to_regclass('more') as more, to_regclass('marks_n') as index, (select count(*)::int from marks) as marks",
      ),
    ).toEqual([{ more: null, index: null, marks: 0 }]);
    const kept = (await get('/api/vault?database=orders')).items;
    expect(kept.filter((entry: { table: string }) => entry.table === 'more')).toMatchObject([{ rows: 2 }]);
    const { items } = await get('/api/rollbacks');
    expect(await get(`/api/rollbacks/${items[0].id}`)).toMatchObject({
      report: { migrations: [{ outcome: 'rolled back' }, { outcome: 'rolled back' }] },
    });
  }

  const ask = async (): Promise<string> =>
    (await post('/api/rollbacks', { database: 'orders', after: '1_marks' })).job.id;

  test.each(['plan', 'apply', 'verify', 'report'])(
    'at the step %s is succeeded by another, which finishes',
    async (step) => {
      const child = await place.startWorkerProcess();
      const jobId = await ask();
      const reached = async () => {
        const events = await readEvents(place.switchback.deps.control.prisma, jobId, 0, 1_000);
        return events.some(
          (event) => event.type === 'step-started' && (event.body as { step: string }).step === step,
        );
      };
      await waitFor(reached, { what: `the step ${step}` });
      child.kill('SIGKILL');
      await expectRolledBack(jobId);
    },
  );

  test.each(['pg_sleep(1.1)', 'pg_sleep(1)'])(
    'inside the statement %s, its orphaned backend still running',
    async (statement) => {
      const child = await place.startWorkerProcess();
      const jobId = await ask();
      await place.running(statement);
      child.kill('SIGKILL');
      await expectRolledBack(jobId);
    },
  );
});
