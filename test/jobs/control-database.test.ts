import { readdir } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Control, openControl } from '../../src/db/control/control.ts';
import { Prisma } from '../../src/db/control/generated/client.ts';
import { withSession } from '../../src/db/session.ts';
import { parseTarget } from '../../src/db/target.ts';
import { prepareControl } from '../../src/jobs/prepare-control.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';

let database: TestDatabase;
beforeEach(async () => {
  database = await createDatabase();
});
afterEach(() => database.drop());

const prepare = (): Promise<void> => prepareControl(database.url, new AbortController().signal);
const query = (sql: string) =>
  withSession(parseTarget(database.url), { applicationName: 'test' }, async (session) => {
    return (await session.query<{ answer: string }>(sql)).rows.map(({ answer }) => answer);
  });

describe('our own migrations', () => {
  let control: Control;
  beforeEach(async () => {
    await prepare();
    control = await openControl(database.url);
  });
  afterEach(() => control.close());

  const { ModelName } = Prisma;
  const columns: Readonly<Record<keyof typeof ModelName, object>> = {
    Job: Prisma.JobScalarFieldEnum,
    JobEvent: Prisma.JobEventScalarFieldEnum,
    Bundle: Prisma.BundleScalarFieldEnum,
    Plan: Prisma.PlanScalarFieldEnum,
    Deployment: Prisma.DeploymentScalarFieldEnum,
    Rollback: Prisma.RollbackScalarFieldEnum,
    RollbackTest: Prisma.RollbackTestScalarFieldEnum,
    WayBack: Prisma.WayBackScalarFieldEnum,
    ExpectedSchema: Prisma.ExpectedSchemaScalarFieldEnum,
    Backup: Prisma.BackupScalarFieldEnum,
    HealthCheck: Prisma.HealthCheckScalarFieldEnum,
    Recovery: Prisma.RecoveryScalarFieldEnum,
    Validation: Prisma.ValidationScalarFieldEnum,
    Alert: Prisma.AlertScalarFieldEnum,
    Delivery: Prisma.DeliveryScalarFieldEnum,
    IdempotencyKey: Prisma.IdempotencyKeyScalarFieldEnum,
    DataMigration: Prisma.DataMigrationScalarFieldEnum,
    Flag: Prisma.FlagScalarFieldEnum,
    FlagChange: Prisma.FlagChangeScalarFieldEnum,
  };

  test('make every column of schema.prisma, and no other', async () => {
    const { prisma } = control;
    // Each names all the columns of its model.
    await prisma.job.findFirst();
    await prisma.jobEvent.findFirst();
    await prisma.bundle.findFirst();
    await prisma.plan.findFirst();
    await prisma.deployment.findFirst();
    await prisma.rollback.findFirst();
    await prisma.rollbackTest.findFirst();
    await prisma.expectedSchema.findFirst();
    await prisma.wayBack.findFirst();
    await prisma.backup.findFirst();
    await prisma.healthCheck.findFirst();
    await prisma.recovery.findFirst();
    await prisma.validation.findFirst();
    await prisma.alert.findFirst();
    await prisma.delivery.findFirst();
    await prisma.idempotencyKey.findFirst();
    await prisma.dataMigration.findFirst();
    await prisma.flag.findFirst();
    await prisma.flagChange.findFirst();
    const found = await query(
      `select table_name || ' ' || count(*) as answer from information_schema.columns
        where table_schema = 'public' and table_name <> '_prisma_migrations' group by table_name order by 1`,
    );
    const snake = (name: string): string => name.replace(/(?<!^)[A-Z]/g, '_$&').toLowerCase();
    expect(found).toEqual(
      Object.entries(columns)
        .map(([model, fields]) => `${snake(model)} ${Object.keys(fields).length}`)
        .toSorted(),
    );
  });

  test('let the database keep what the code promises', async () => {
    const job = (state: string, more = '') =>
      query(
        `insert into job (id, kind, queue, database, exclusive, payload, requested_by, state)
         values (gen_random_uuid(), 'x', 'operations', 'orders', true, '{}', 'ci', '${state}') ${more} returning id as answer`,
      );
    await expect(job('dancing')).rejects.toMatchObject({ details: { sqlstate: '23514' } });
    await job('succeeded');
    await job('running');
    await expect(job('queued')).rejects.toMatchObject({
      details: { sqlstate: '23505', constraint: 'job_exclusive_key' },
    });
    await job('failed');
  });
});

test('several processes that start at once prepare it once', async () => {
  await Promise.all(Array.from({ length: 4 }, prepare));
  const names = (await readdir('prisma/migrations')).filter((name) => /^\d/.test(name));
  expect(await query('select migration_name as answer from _prisma_migrations order by 1')).toEqual(
    names.sort(),
  );
  await prepare();
});

test.each([
  ['tables and no history', 'create table customers (id int)'],
  [
    "another application's history",
    `create table _prisma_migrations (id varchar(36) primary key, checksum varchar(64) not null, finished_at timestamptz,
       migration_name varchar(255) not null, logs text, rolled_back_at timestamptz,
       started_at timestamptz not null default now(), applied_steps_count integer not null default 0);
     insert into _prisma_migrations (id, checksum, migration_name, finished_at) values ('1', 'x', '20200101_shop', now())`,
  ],
])('a database with %s is refused, and left as it is', async (_, sql) => {
  await query(sql);
  const tables = `select string_agg(table_name, ' ' order by table_name) as answer from information_schema.tables where table_schema = 'public'`;
  const before = await query(tables);
  await expect(prepare()).rejects.toMatchObject({ code: 'CONTROL_DATABASE_FOREIGN' });
  expect(await query(tables)).toEqual(before);
});

test('a control database that is not there says so, without its password', async () => {
  const opening = openControl('postgres://u:secret@127.0.0.1:1/none');
  await expect(opening).rejects.toMatchObject({ code: 'CONTROL_DATABASE_UNREACHABLE' });
  await expect(opening).rejects.not.toThrow(/secret/);
  await expect(
    prepareControl('postgres://u:secret@127.0.0.1:1/none', new AbortController().signal),
  ).rejects.toMatchObject({ code: 'CONTROL_DATABASE_UNREACHABLE' });
});
