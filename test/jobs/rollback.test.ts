import { rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { cancelJob } from '../../src/jobs/jobs.ts';
import { deployment } from '../../src/jobs/kinds/deployment.ts';
import { type RollbackPayload, rollback } from '../../src/jobs/kinds/rollback.ts';
import { type RunningWorker, startWorker } from '../../src/jobs/worker.ts';
import { readDirectory } from '../../src/migrations/read.ts';
import { type DeployPlace, openDeployPlace } from '../acceptance/deploy-place.ts';
import { prismaEngine } from '../migrations/prisma-engine.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';

const quick = { heartbeatMs: 200, staleMs: 1_500, repairMs: 200 };

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

const untested = { backup: { never: 'tested elsewhere' }, rehearsal: { never: 'tested elsewhere' } };
const lax = { 'drop-column': 'caution', 'drop-table': 'caution', 'unbounded-write': 'caution' };
const open = async (policy: Record<string, unknown> = {}, more: object = {}): Promise<void> => {
  place = await openDeployPlace(target.url, {
    policy: { ...untested, analysis: { rules: lax }, ...policy },
    ...more,
  });
  worker = await startWorker(place.switchback.deps, quick);
};
const deploy = async (payload: Partial<Parameters<typeof deployment.run>[0]['payload']> = {}) =>
  place.finished(await place.ask(deployment, { allow: [], ...payload }));
const rollBack = async (payload: Partial<RollbackPayload> = { count: 1 }) =>
  place.finished(await place.ask(rollback, { allow: [], ...payload }));
const recordOf = (jobId: string) =>
  place.switchback.deps.control.prisma.rollback.findUniqueOrThrow({ where: { jobId } });
const alerts = async () =>
  (await place.switchback.deps.control.prisma.alert.findMany({ orderBy: { id: 'asc' } })).map(
    ({ condition, title }) => [condition, title],
  );
const diagnosis = async () => prismaEngine(target.url).diagnose(await readDirectory(place.migrations));
const writeBeside = (migration: string, sql: string): void =>
  writeFileSync(path.join(place.migrations, migration, 'rollback.sql'), sql);

const three = {
  '1_users': 'create table users (id int primary key, name text);',
  '2_orders': 'create table orders (id int primary key, owner int references users);',
  '3_note': 'alter table orders add column note text;',
};

describe('a rollback', () => {
  test('of a number takes back the last ones, backs up before, reports and tells', async () => {
    await open({ backup: 'always' });
    place.write(three);
    await deploy();
    const job = await rollBack({ count: 2 });
    expect(job).toMatchObject({
      state: 'succeeded',
      percent: 100,
      result: { database: 'orders', rolledBack: ['3_note', '2_orders'], conflicts: 0 },
    });
    expect(await diagnosis()).toEqual({ pending: ['2_orders', '3_note'], failed: [], edited: [] });
    const { backupId, report } = await recordOf(job.id);
    const backup = await place.switchback.deps.control.prisma.backup.findUniqueOrThrow({
      where: { id: backupId ?? '' },
    });
    expect(backup).toMatchObject({ state: 'verified', jobId: job.id });
    expect(report).toMatchObject({
      outcome: 'succeeded',
      requestedBy: 'ci',
      backup: { id: backupId },
      migrations: [{ name: '3_note' }, { name: '2_orders' }],
      preflight: expect.arrayContaining([
        expect.objectContaining({ name: 'rights', status: 'pass' }),
      ]) as unknown,
    });
    expect(await alerts()).toEqual([['rollback-executed', 'Rolled back in orders: 3_note, 2_orders.']]);
  });

  test('after the last migration finds nothing to do, and tells nothing', async () => {
    await open();
    place.write(three);
    await deploy();
    const job = await rollBack({ after: '3_note' });
    expect(job).toMatchObject({ state: 'succeeded', result: { rolledBack: [] } });
    expect((await recordOf(job.id)).report).toMatchObject({ outcome: 'nothing to do' });
    expect(await alerts()).toEqual([]);
  });

  test('of a deployment that is not the last one is refused, and of one that was taken back', async () => {
    await open();
    place.write({ '1_users': three['1_users'] });
    await deploy();
    place.write({ '2_orders': three['2_orders'] });
    await deploy();
    const { prisma } = place.switchback.deps.control;
    const [first, second] = await prisma.deployment.findMany({ orderBy: { id: 'asc' } });
    expect(await rollBack({ deployment: first?.id })).toMatchObject({
      state: 'failed',
      error: { code: 'ROLLBACK_NOT_LAST', details: { later: ['2_orders'] } },
    });
    expect(await rollBack({ deployment: second?.id })).toMatchObject({ state: 'succeeded' });
    expect(await rollBack({ deployment: second?.id })).toMatchObject({
      state: 'failed',
      error: { code: 'MIGRATION_NOT_APPLIED' },
    });
    expect(
      await deploy({ allow: [{ code: 'MIGRATION_ROLLED_BACK', reason: 'the cause is mended' }] }),
    ).toMatchObject({ state: 'succeeded' });
    expect(await rollBack({ deployment: second?.id })).toMatchObject({
      state: 'failed',
      error: { code: 'MIGRATION_NOT_APPLIED', detail: expect.stringContaining('applied again') as string },
    });
  });

  test('uses the rollback.sql beside the migration, before anything generated', async () => {
    await open();
    place.write(three);
    writeBeside('3_note', '-- by hand\nalter table orders drop column note;');
    await deploy();
    const job = await rollBack();
    expect((await recordOf(job.id)).plan).toMatchObject({
      migrations: [
        { source: 'rollback.sql', outcome: 'proven', sql: expect.stringContaining('by hand') as string },
      ],
    });
  });

  test('needs no proof twice: what was tried once is used again', async () => {
    await open();
    place.write(three);
    await deploy();
    await rollBack();
    const { prisma } = place.switchback.deps.control;
    const ways = () => prisma.wayBack.count({ where: { migration: '3_note' } });
    const before = await ways();
    await deploy({ allow: [{ code: 'MIGRATION_ROLLED_BACK', reason: 'the cause is mended' }] });
    const deployed = await ways();
    expect(await rollBack()).toMatchObject({ state: 'succeeded' });
    expect(before).toBeGreaterThan(0);
    expect(await ways()).toBe(deployed);
  });

  test('goes by what was deployed where the directory holds another release by now', async () => {
    await open();
    place.write(three);
    await deploy();
    await rollBack();
    await deploy({ allow: [{ code: 'MIGRATION_ROLLED_BACK', reason: 'the cause is mended' }] });
    rmSync(path.join(place.migrations, '3_note'), { recursive: true });
    expect(await rollBack()).toMatchObject({ state: 'succeeded', result: { rolledBack: ['3_note'] } });
  });

  test('whose way back does not hold stops, unless it is allowed by name', async () => {
    await open();
    place.write(three);
    writeBeside('3_note', 'alter table orders rename column note to remark;');
    await deploy();
    expect(await rollBack()).toMatchObject({
      state: 'failed',
      error: { code: 'ROLLBACK_NOT_PROVEN', details: { migration: '3_note' } },
    });
    const allowed = await rollBack({
      count: 1,
      allow: [{ code: 'ROLLBACK_NOT_PROVEN', migration: '3_note', reason: 'the column is to stay' }],
    });
    expect(allowed).toMatchObject({ state: 'succeeded' });
    expect((await recordOf(allowed.id)).report).toMatchObject({
      allowances: [{ reason: 'the column is to stay' }],
      migrations: [{ wayBack: { source: 'rollback.sql', outcome: 'wrong' } }],
    });
  });

  test('of what nobody knows the text of says so', async () => {
    await open();
    place.write(three);
    await deploy();
    rmSync(path.join(place.migrations, '3_note'), { recursive: true });
    const { prisma } = place.switchback.deps.control;
    await prisma.wayBack.deleteMany();
    expect(await rollBack()).toMatchObject({
      state: 'failed',
      error: { code: 'ROLLBACK_MISSING', details: { migration: '3_note' } },
    });
  });

  test('of what Prisma applied, and so kept nothing of, names what would be lost', async () => {
    await open();
    const two = {
      '1_users': 'create table users (id int primary key, name text, email text);',
      '2_less': 'alter table users drop column email;',
    };
    place.write(two);
    await prismaEngine(target.url).deploy(await readDirectory(place.migrations));
    expect(await rollBack()).toMatchObject({
      state: 'failed',
      error: {
        code: 'ROLLBACK_LOSES_DATA',
        detail: expect.stringContaining('users.email') as string,
        details: { migration: '2_less' },
      },
    });
    const reason = 'nobody needs the addresses';
    expect(await rollBack({ count: 1, allow: [{ code: 'ROLLBACK_LOSES_DATA', reason }] })).toMatchObject({
      state: 'succeeded',
    });
    expect((await diagnosis()).pending).toEqual(['2_less']);
  });

  test('of what is no longer in the vault names it', async () => {
    await open();
    place.write({
      '1_users': 'create table users (id int primary key, email text); insert into users values (1, $$a$$);',
      '2_less': 'alter table users drop column email;',
    });
    await deploy();
    const [kept] = await place.query<{ id: string }>('select id from switchback_vault.entry');
    await place.query(`update switchback_vault.entry set state = 'removed' where id = '${kept?.id}'`);
    expect(await rollBack()).toMatchObject({
      state: 'failed',
      error: {
        code: 'ROLLBACK_LOSES_DATA',
        detail: expect.stringContaining('no longer in the vault') as string,
      },
    });
  });

  test('of a database whose last migration failed half-way is refused', async () => {
    await open();
    place.write(three);
    await deploy();
    await place.query(
      "insert into _prisma_migrations (id, checksum, migration_name) values ('x', 'x', '9_failed')",
    );
    expect(await rollBack()).toMatchObject({
      state: 'failed',
      error: { code: 'MIGRATION_FAILED_BEFORE', details: { migration: '9_failed' } },
    });
  });

  test('that fails half-way tells what is rolled back, and the next one goes on from there', async () => {
    await open();
    place.write(three);
    writeBeside('2_orders', 'select pg_sleep(0);\ndrop table orders;');
    await deploy();
    await place.query('create view seen as select id from orders');
    const failed = await rollBack({ count: 2 });
    expect(failed).toMatchObject({
      state: 'failed',
      error: { code: 'STATEMENT_FAILED', details: { migration: '2_orders', rolledBack: ['3_note'] } },
    });
    expect((await recordOf(failed.id)).report).toMatchObject({
      migrations: [{ outcome: 'rolled back' }, { outcome: 'failed' }],
    });
    expect(await alerts()).toEqual([
      ['job-failed', expect.stringContaining('The rollback of orders failed')],
      ['rollback-executed', 'Rolled back in orders: 3_note. The rollback then failed.'],
    ]);
    await place.query('drop view seen');
    expect(await rollBack()).toMatchObject({ state: 'succeeded', result: { rolledBack: ['2_orders'] } });
  });

  test('of several transactions that stopped in the middle is gone on with, by the text that was begun', async () => {
    await open();
    place.write(three);
    writeBeside(
      '3_note',
      'create index concurrently n on orders (note);\ndrop index concurrently n;\nalter table orders drop column note;',
    );
    await deploy();
    await place.query('create view seen as select note from orders');
    expect(await rollBack()).toMatchObject({ state: 'failed', error: { code: 'ROLLBACK_UNFINISHED' } });
    expect(await deploy()).toMatchObject({ state: 'failed', error: { code: 'ROLLBACK_UNFINISHED' } });
    expect((await diagnosis()).failed).toEqual(['3_note']);
    await place.query('drop view seen');
    writeBeside('3_note', 'alter table orders drop column note;');
    expect(await rollBack()).toMatchObject({ state: 'succeeded', result: { rolledBack: ['3_note'] } });
    expect(await diagnosis()).toEqual({ pending: ['3_note'], failed: [], edited: [] });
  });

  test('leaves what the application has changed since, and counts it', async () => {
    await open();
    place.write({
      '1_users':
        "create table users (id int primary key, name text); insert into users values (1, 'ann'), (2, 'bob');",
      '2_shout': 'update users set name = upper(name);',
    });
    await deploy();
    await place.query("update users set name = 'ANNA' where id = 1");
    const job = await rollBack();
    expect(job).toMatchObject({ state: 'succeeded', result: { conflicts: 1 } });
    expect(await place.query('select name from users order by id')).toEqual([
      { name: 'ANNA' },
      { name: 'bob' },
    ]);
    expect((await recordOf(job.id)).report).toMatchObject({
      migrations: [{ restored: [{ table: 'users', restored: 1 }] }],
      markdown: expect.stringContaining('Conflicts (1)') as string,
    });
  });

  test('that is cancelled leaves the migration applied', async () => {
    await open();
    place.write(three);
    writeBeside('3_note', 'select pg_sleep(1.5);\nalter table orders drop column note;');
    await deploy();
    const jobId = await place.ask(rollback, { count: 1, allow: [] });
    await place.running('pg_sleep(1.5)');
    await cancelJob(place.switchback.deps.control, jobId, 'ci');
    expect(await place.finished(jobId)).toMatchObject({ state: 'cancelled' });
    expect((await diagnosis()).pending).toEqual([]);
    expect(await alerts()).toEqual([]);
  });
});
