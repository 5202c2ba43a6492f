import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startApi, type TestApi } from './harness.ts';

let api: TestApi;
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.close());
// They exclude each other, and nobody runs them here.
beforeEach(async () => {
  await api.deps.control.prisma.job.deleteMany();
});

const reason = 'the column is to stay';
const deployment = '01900000-0000-7000-8000-000000000001';

describe('a rollback', () => {
  test.each([
    [{ count: 2 }, { count: 2, allow: [] }, null],
    [{ after: '1_users' }, { after: '1_users', allow: [] }, null],
    [{ deployment }, { deployment, allow: [] }, deployment],
  ])('of %o is accepted with the job to follow, and found again', async (body, payload, deploymentId) => {
    const created = await api.post('/api/rollbacks', { database: 'orders', ...body });
    expect(created.statusCode).toBe(202);
    const { id, job } = created.json();
    expect(created.headers.location).toBe(`/api/jobs/${job.id}`);
    const stored = await api.deps.control.prisma.job.findUniqueOrThrow({ where: { id: job.id } });
    expect(stored).toMatchObject({ kind: 'rollback', exclusive: true, payload });
    const found = (await api.get(`/api/rollbacks/${id}`)).json();
    expect(found).toMatchObject({
      ...{ id, database: 'orders', deploymentId, backupId: null, plan: null, report: null },
      ...{ requestedBy: 'operator', job: { id: job.id, state: 'queued' } },
    });
    const { plan: _, report: __, ...listed } = found;
    expect((await api.get('/api/rollbacks')).json().items).toEqual([listed]);
  });

  test.each([
    [{}],
    [{ count: 0 }],
    [{ count: 1, after: '1_users' }],
    [{ deployment: 'last' }],
    [{ count: 1, plan: deployment }],
  ])('of %o is no request', async (body) => {
    const refused = await api.post('/api/rollbacks', { database: 'orders', ...body });
    expect(refused.json()).toMatchObject({ status: 400, code: 'VALIDATION_FAILED' });
  });

  test('with something allowed needs the scope to approve', async () => {
    const body = { database: 'orders', count: 1, allow: [{ code: 'ROLLBACK_NOT_PROVEN', reason }] };
    expect((await api.post('/api/rollbacks', body)).json()).toMatchObject({
      status: 403,
      code: 'SCOPE_MISSING',
    });
    expect((await api.post('/api/rollbacks', body, 'approver')).statusCode).toBe(202);
  });

  test('of a database that is deployed to waits for nothing: it is refused', async () => {
    const first = await api.post('/api/deployments', { database: 'orders' });
    const second = await api.post('/api/rollbacks', { database: 'orders', count: 1 });
    expect(second.json()).toMatchObject({ status: 409, code: 'DATABASE_BUSY' });
    expect(second.json().details).toMatchObject({ job: first.json().job.id, kind: 'deployment' });
  });

  test('is for who may use the database, and only read by who may see it', async () => {
    const body = { database: 'orders', count: 1 };
    expect((await api.post('/api/rollbacks', body, 'reader')).json().code).toBe('SCOPE_MISSING');
    expect((await api.post('/api/rollbacks', body, 'billing')).json().code).toBe('DATABASE_FORBIDDEN');
    const { id } = (await api.post('/api/rollbacks', body)).json();
    expect((await api.get(`/api/rollbacks/${id}`, 'billing')).json().code).toBe('ROLLBACK_NOT_FOUND');
    expect((await api.get('/api/rollbacks', 'billing')).json().items).toEqual([]);
  });
});

test('a deployment asks for its data back', async () => {
  const { job } = (await api.post('/api/deployments', { database: 'orders', restore: true })).json();
  const stored = await api.deps.control.prisma.job.findUniqueOrThrow({ where: { id: job.id } });
  expect(stored.payload).toEqual({ allow: [], restore: true });
});
