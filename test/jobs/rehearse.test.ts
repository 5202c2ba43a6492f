import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openSession } from '../../src/db/session.ts';
import { parseTarget } from '../../src/db/target.ts';
import { cancelJob } from '../../src/jobs/jobs.ts';
import { type RunningWorker, startWorker } from '../../src/jobs/worker.ts';
import { type DeployPlace, openDeployPlace } from '../acceptance/deploy-place.ts';
import { rowsOf } from '../migrations/deploy.ts';
import {
  availableMajors,
  createDatabase,
  startServer,
  type TestDatabase,
  type TestServer,
} from '../support/postgres.ts';
import { waitFor } from '../support/wait.ts';

const quick = { heartbeatMs: 200, staleMs: 1_500, repairMs: 200, sweepMs: 300 };

let target: TestDatabase;
let place: DeployPlace;
let worker: RunningWorker | undefined;

beforeEach(async () => {
  target = await createDatabase();
});
afterEach(async () => {
  await worker?.stop();
  worker = undefined;
  await place?.close();
  await target.drop();
});

const open = async (policy: Record<string, unknown> = {}, more: object = {}): Promise<void> => {
  place = await openDeployPlace(target.url, {
    policy: { backup: { never: 'tested elsewhere' }, rehearsal: 'preferred', ...policy },
    ...more,
  });
};
const history =
  'create table "_prisma_migrations" (id varchar(36) primary key, checksum varchar(64) not null, finished_at timestamptz, migration_name varchar(255) not null, logs text, rolled_back_at timestamptz, started_at timestamptz not null default now(), applied_steps_count int not null default 0)';
const start = async (): Promise<void> => {
  worker = await startWorker(place.switchback.deps, quick);
};
const deploy = async () => place.finished(await place.deploy());
const reportOf = async (jobId: string) =>
  (await place.switchback.deps.control.prisma.deployment.findUniqueOrThrow({ where: { jobId } }))
    .report as never as { testing: string; migrations: { wayBack: unknown }[]; rollbackPlan: string };
const scratches = (jobId: string) =>
  rowsOf(
    target.url,
    `select datname from pg_database where datname like 'switchback_scratch_${jobId.replaceAll('-', '')}%'`,
  );

describe('a deployment is rehearsed', { timeout: 120_000 }, () => {
  test('on a copy of the live schema; the way back is kept with it', async () => {
    await open({ allow: [{ code: 'SCHEMA_DRIFTED', reason: 'what is there came from no migration' }] });
    await start();
    await place.query('create table legacy (id int primary key, note text not null)');
    place.write({ '1_name': 'alter table legacy add column name text; create index on legacy (name);' });
    await place.query(history);
    const job = await deploy();
    expect(job).toMatchObject({ state: 'succeeded' });
    const [way] = await place.switchback.deps.control.prisma.wayBack.findMany({ where: { jobId: job.id } });
    expect(way).toMatchObject({
      migration: '1_name',
      source: 'generated',
      outcome: 'proven',
      provenOn: 'generated rows',
      sql: expect.stringMatching(/DROP COLUMN/i) as string,
    });
    const report = await reportOf(job.id);
    expect(report).toMatchObject({
      testing: 'Rehearsed in a scratch database: the way back of 1 of 1 migration(s) is proven.',
      migrations: [{ wayBack: { source: 'generated', outcome: 'proven', provenOn: 'generated rows' } }],
      rollbackPlan: expect.stringContaining('POST /api/rollbacks') as string,
    });
    expect(await scratches(job.id)).toEqual([]);
  });

  test('one that does not run there stops it, and the database is not touched', async () => {
    await open();
    await start();
    place.write({ '1_fine': 'create table fine (id int);', '2_broken': 'insert into nowhere values (1);' });
    const job = await deploy();
    expect(job).toMatchObject({
      state: 'failed',
      error: { code: 'REHEARSAL_FAILED', details: { migration: '2_broken' } },
    });
    expect(await place.query("select to_regclass('fine') as fine")).toEqual([{ fine: null }]);
    expect(await scratches(job.id)).toEqual([]);
  });

  test('a way back that does not hold stops it only where the policy requires one', async () => {
    await open({ rehearsal: 'required' });
    await start();
    place.write({ '1_t': 'create table t (id int);' });
    await place.rehearsed('1_t', 'select 1;');
    const refused = await deploy();
    expect(refused).toMatchObject({
      state: 'failed',
      error: { code: 'ROLLBACK_NOT_PROVEN', detail: expect.stringContaining('table public.t') as string },
    });
  });

  test('and goes on with a remark where it is only preferred', async () => {
    await open();
    await start();
    place.write({ '1_t': 'create table t (id int);' });
    await place.rehearsed('1_t', 'select 1;');
    const job = await deploy();
    expect(job).toMatchObject({ state: 'succeeded' });
    expect(await reportOf(job.id)).toMatchObject({ migrations: [{ wayBack: { outcome: 'wrong' } }] });
  });

  test('nor are functions that a migration calls, where these reach another server', async () => {
    await open({ allow: [{ code: 'SCHEMA_DRIFTED', reason: 'what is there came from no migration' }] });
    await start();
    await place.query(
      `${history}; create function dblink_exec(text) returns int language sql as 'select 1'; create table ord (id int, n int);
       create function push() returns int language plpgsql as $$ begin return dblink_exec('x'); end $$`,
    );
    place.write({ '1_t': 'create table t (id int);', '2_push': 'update ord set n = push();' });
    const job = await deploy();
    expect(job).toMatchObject({ state: 'succeeded' });
    expect((await reportOf(job.id)).migrations).toMatchObject([
      { wayBack: { outcome: 'proven' } },
      {
        wayBack: { outcome: 'notRehearsed', reasons: [expect.stringContaining('runs code of the database')] },
      },
    ]);
  });

  test('what belongs to the whole server is not tried', async () => {
    await open();
    await start();
    const role = `r_${target.url.slice(-12)}`;
    place.write({ '1_role': `create role ${role};`, '2_t': 'create table t (id int);' });
    try {
      const job = await deploy();
      expect(job).toMatchObject({ state: 'succeeded' });
      const report = await reportOf(job.id);
      expect(report.migrations).toMatchObject([
        { wayBack: { outcome: 'notRehearsed', reasons: [expect.stringContaining('whole server')] } },
        { wayBack: { outcome: 'notRehearsed' } },
      ]);
    } finally {
      await place.query(`drop role if exists ${role}`);
    }
  });

  test('nor what a database has beside its schema: the live one is left as it is', async () => {
    await open();
    await start();
    const grants = 'select datacl from pg_database where datname = current_database()';
    const before = await place.query(grants);
    const name = new URL(target.url).pathname.slice(1);
    place.write({
      '1_grants': `revoke connect on database ${name} from public; insert into nowhere values (1);`,
    });
    const job = await deploy();
    expect(job).toMatchObject({ state: 'failed', step: 'apply' });
    expect(await reportOf(job.id)).toMatchObject({ migrations: [{ wayBack: { outcome: 'notRehearsed' } }] });
    expect(await place.query(grants)).toEqual(before);
  });

  test('nor is anything, where a trigger of the live database would do so', async () => {
    await open({ allow: [{ code: 'VAULT_CANNOT_KEEP', reason: 'the trigger removes nothing' }] });
    await start();
    const role = `tenant_${target.url.slice(-12)}`;
    place.write({
      '1_tenants': `create table tenants (name text primary key);
        create function make_role() returns trigger language plpgsql as
          $$ begin execute format('create role %I', new.name); return new; end $$;
        create trigger of_its_own after insert on tenants for each row execute function make_role();`,
    });
    await deploy();
    place.write({ '2_first': `insert into tenants values ('${role}');` });
    try {
      const job = await deploy();
      expect(job).toMatchObject({ state: 'succeeded', error: null });
      expect(await reportOf(job.id)).toMatchObject({
        migrations: [
          {
            wayBack: { outcome: 'notRehearsed', reasons: [expect.stringContaining('of_its_own') as string] },
          },
        ],
      });
    } finally {
      await place.query(`drop role if exists ${role}`);
    }
  });

  const seed = {
    '1_roles':
      'create table roles (id int primary key); create table members (id int primary key, role int not null references roles);',
    '2_seed': 'insert into members values (1, 1);',
  };
  const withRole = async (): Promise<void> => {
    await start();
    place.write({ '1_roles': seed['1_roles'] });
    await deploy();
    await place.query('insert into roles values (1)');
    place.write(seed);
  };

  test('what needs rows of the live database is not stopped for want of them', async () => {
    await open();
    await withRole();
    const job = await deploy();
    expect(job).toMatchObject({ state: 'succeeded' });
    expect(await reportOf(job.id)).toMatchObject({
      migrations: [
        { wayBack: { outcome: 'notRehearsed', reasons: [expect.stringContaining('23503') as string] } },
      ],
    });
  });

  test('and is tried where these are copied', async () => {
    await open({ rehearsal: 'required', rehearsalRows: 'full' });
    await withRole();
    place.write({ '3_none': 'insert into members values (2, 7);' });
    const job = await deploy();
    expect(job).toMatchObject({
      state: 'failed',
      error: { code: 'REHEARSAL_FAILED', details: { migration: '3_none' } },
    });
    expect(await place.query('select id from members')).toEqual([]);
  });

  test('what comes behind a half-applied one was not rehearsed, and is not said to have been', async () => {
    await open({ rehearsal: 'required' });
    place.write({
      // In the rehearsal it does not wait.
      '1_t':
        "create table t (n int);\ncreate index concurrently t_n on t (n);\nselect pg_sleep(60) where current_database() not like 'switchback%';",
    });
    await place.rehearsed('1_t', 'drop table t;');
    const child = await place.startWorkerProcess();
    const killed = await place.deploy();
    await place.running('pg_sleep(60)');
    child.kill('SIGKILL');
    await once(child, 'exit');
    const gone = `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`;
    await place.query(gone);
    // Nobody takes the job over: a new one finds what it has left.
    await place.switchback.deps.control.prisma.job.update({
      where: { id: killed },
      data: { state: 'failed' },
    });
    place.write({ '2_more': 'create table more (id int);' });
    await start();
    const job = await deploy();
    expect(job).toMatchObject({
      state: 'failed',
      error: { code: 'ROLLBACK_NOT_PROVEN', details: { migration: '2_more' } },
    });
    expect(await reportOf(job.id)).toMatchObject({
      testing: 'Rehearsed in a scratch database: the way back of 1 of 2 migration(s) is proven.',
      migrations: [
        { wayBack: { outcome: 'proven' } },
        { wayBack: { outcome: 'notRehearsed', reasons: [expect.stringContaining('half') as string] } },
      ],
    });
  });

  test('a role that may not create databases deploys unrehearsed, unless that is required', async () => {
    const role = `weak_${target.url.slice(-12)}`;
    await rowsOf(target.url, `create role ${role} login password 'weak'`);
    await rowsOf(target.url, `grant all on schema public to ${role}`);
    const url = new URL(target.url);
    url.username = role;
    url.password = 'weak';
    try {
      place = await openDeployPlace(url.href, {
        policy: { backup: { never: 'tested elsewhere' }, rehearsal: 'preferred' },
      });
      await start();
      place.write({ '1_t': 'create table t (id int);' });
      const job = await deploy();
      expect(job).toMatchObject({ state: 'succeeded' });
      expect(await reportOf(job.id)).toMatchObject({
        migrations: [
          { wayBack: { outcome: 'notRehearsed', reasons: [expect.stringContaining('CREATEDB') as string] } },
        ],
      });
      // It connects as whoever it is, not as the test.
      await worker?.stop();
      worker = undefined;
    } finally {
      await rowsOf(target.url, `drop owned by ${role}`);
      await rowsOf(target.url, `drop role ${role}`);
    }
  });

  test('cancelled in the middle, it leaves nothing', async () => {
    await open();
    await start();
    place.write({ '1_slow': 'create table t (id int); select pg_sleep(60);' });
    const jobId = await place.deploy();
    await waitFor(
      async () =>
        (
          await rowsOf(
            target.url,
            `select from pg_stat_activity where datname like 'switchback_scratch_${jobId.replaceAll('-', '')}%' and query like '%pg_sleep(60)%' and state = 'active'`,
          )
        ).length > 0,
      { what: 'the rehearsal' },
    );
    await cancelJob(place.switchback.deps.control, jobId, 'somebody');
    expect(await place.finished(jobId)).toMatchObject({ state: 'cancelled' });
    expect(await scratches(jobId)).toEqual([]);
  });

  test('a worker that is killed in it leaves nothing for long', async () => {
    await open();
    // It waits as long as the test has a session of that name.
    const holding = `hold_${target.name.slice(-12)}`;
    const hold = await openSession(parseTarget(target.url), { applicationName: holding });
    place.write({
      '1_slow': `create table t (id int); select pg_sleep(60) where exists (select from pg_stat_activity where application_name = '${holding}');`,
    });
    const child = await place.startWorkerProcess();
    const jobId = await place.deploy();
    await waitFor(async () => (await scratches(jobId)).length > 0, { what: 'a scratch database' });
    child.kill('SIGKILL');
    await once(child, 'exit');
    await hold.close();
    await start();
    expect(await place.finished(jobId)).toMatchObject({ state: 'succeeded' });
    await waitFor(async () => (await scratches(jobId)).length === 0, { what: 'the sweep' });
  });
});

describe('a server for scratch databases', { timeout: 120_000 }, () => {
  const files = { '1_t': 'create table t (id int primary key);' };
  const on = async (server: TestServer): Promise<void> => {
    await open({ rehearsal: 'required' }, { scratchUrl: server.url() });
    place.write(files);
    await start();
  };
  const scratchesMade = `select datname from pg_database where datname like 'switchback_scratch_%'`;

  test('is used instead of the live one', async () => {
    const server = await startServer(15);
    try {
      await on(server);
      place.write({ '1_t': 'create table t (id int primary key); select pg_sleep(60);' });
      const jobId = await place.deploy();
      await waitFor(async () => (await rowsOf(server.url(), scratchesMade)).length === 1, {
        what: 'a scratch database there',
      });
      expect(await scratches(jobId)).toEqual([]);
      await cancelJob(place.switchback.deps.control, jobId, 'somebody');
      await place.finished(jobId);
      expect(await rowsOf(server.url(), scratchesMade)).toEqual([]);
      place.write(files);
      expect(await deploy()).toMatchObject({ state: 'succeeded' });
    } finally {
      await worker?.stop();
      worker = undefined;
      await server.stop();
    }
  });

  test.runIf(availableMajors.includes(16))('of another major version proves nothing', async () => {
    const server = await startServer(16);
    try {
      await on(server);
      expect(await deploy()).toMatchObject({
        state: 'failed',
        error: {
          code: 'ROLLBACK_NOT_PROVEN',
          detail: expect.stringMatching(/is PostgreSQL 16, and .* is PostgreSQL 15/) as string,
        },
      });
    } finally {
      await worker?.stop();
      worker = undefined;
      await server.stop();
    }
  });
});
