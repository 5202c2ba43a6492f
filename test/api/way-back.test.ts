import { randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { storeWayBack } from '../../src/jobs/rollbacks/way-back.ts';
import { checksum } from '../../src/migrations/checksum.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';
import { registered, startApi, type TestApi } from './harness.ts';

const sql = { '1_users': 'create table users (id int);', '2_orders': 'create table orders (id int);' };
const back = 'drop table users;';

let api: TestApi;
let target: TestDatabase;
let migrations: string;
beforeAll(async () => {
  migrations = mkdtempSync(path.join(inject('runFolder'), 'way-back-'));
  writeFileSync(path.join(migrations, 'migration_lock.toml'), 'provider = "postgresql"\n');
  for (const [name, text] of Object.entries(sql)) {
    mkdirSync(path.join(migrations, name));
    writeFileSync(path.join(migrations, name, 'migration.sql'), text);
  }
  writeFileSync(path.join(migrations, '1_users', 'rollback.sql'), back);
  target = await createDatabase();
  api = await startApi({ databases: [registered('orders', { url: target.url, migrations })] });
});
afterAll(async () => {
  await api.close();
  await target.drop();
});

const url = '/api/databases/orders/migrations';

describe('the way back of a migration', () => {
  test('that was written is shown, and that nobody has tried it', async () => {
    expect((await api.get(`${url}/1_users/rollback`)).json()).toMatchObject({
      migration: '1_users',
      source: 'rollback.sql',
      sql: back,
      outcome: 'notRehearsed',
      provenOn: null,
      testedAt: null,
    });
  });

  test('that was proven is shown with what it was proven on', async () => {
    const jobId = randomUUID();
    await storeWayBack(
      api.deps.control,
      {
        ...{ migration: '1_users', checksum: checksum(Buffer.from(sql['1_users'])), source: 'rollback.sql' },
        ...{ sql: back, outcome: 'proven', provenOn: 'generated rows', reasons: [] },
        compared: { tables: 1, rows: 20, leftOut: [] },
      },
      { database: 'orders', jobId, deploymentId: null },
    );
    expect((await api.get(`${url}/1_users/rollback`)).json()).toMatchObject({
      outcome: 'proven',
      provenOn: 'generated rows',
      compared: { rows: 20 },
      jobId,
    });
  });

  test('is shown in plans, with what is known of it', async () => {
    const { body } = (await api.post('/api/plans', { database: 'orders' })).json();
    expect(body.migrations).toMatchObject([
      {
        name: '1_users',
        wayBack: { source: 'rollback.sql', outcome: 'proven', provenOn: 'generated rows', reasons: [] },
      },
      { name: '2_orders', wayBack: null },
    ]);
  });

  test('is not the one that was proven when its text is another one', async () => {
    const file = path.join(migrations, '1_users', 'rollback.sql');
    writeFileSync(file, 'drop table if exists users;');
    try {
      const untried = { outcome: 'notRehearsed', reasons: [expect.stringContaining('Nobody has tried it')] };
      expect((await api.get(`${url}/1_users/rollback`)).json()).toMatchObject({ ...untried, testedAt: null });
      const { body } = (await api.post('/api/plans', { database: 'orders' })).json();
      expect(body.migrations[0].wayBack).toMatchObject(untried);
    } finally {
      writeFileSync(file, back);
    }
  });

  test('can be had as a file for the repository', async () => {
    const answer = await api.get(`${url}/1_users/rollback?format=sql`);
    expect(answer.body).toBe(back);
    expect(answer.headers['content-type']).toMatch(/^application\/sql/);
    expect(answer.headers['content-disposition']).toBe('attachment; filename="rollback.sql"');
  });

  test('that nobody has written or generated is an error that says how to get one', async () => {
    const answer = await api.get(`${url}/2_orders/rollback`);
    expect(answer.json()).toMatchObject({
      status: 404,
      code: 'WAY_BACK_NOT_FOUND',
      detail: expect.stringContaining('POST /api/rollback-tests'),
    });
  });
});

test('drift is asked for, and until then not known', async () => {
  const drift = '/api/databases/orders/drift';
  expect((await api.get(drift)).json()).toMatchObject({ status: 404, code: 'DRIFT_NOT_CHECKED' });
  expect((await api.post(drift, undefined, 'reader')).statusCode).toBe(403);
  const asked = await api.post(drift);
  expect(asked.statusCode).toBe(202);
  const { job } = asked.json();
  const result = {
    database: 'orders',
    drifted: true,
    differences: ['column public.users.note: not there → text'],
    total: 1,
    toMigrations: { sql: 'ALTER TABLE users DROP COLUMN note;', unsupported: [] },
    toDatabase: { sql: 'ALTER TABLE users ADD COLUMN note text;', unsupported: [] },
  };
  await api.deps.control.prisma.job.update({
    where: { id: job.id },
    data: { state: 'succeeded', finishedAt: new Date(), result },
  });
  expect((await api.get(drift)).json()).toMatchObject({ ...result, jobId: job.id });
});
