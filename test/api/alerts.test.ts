import { v7 as newId } from 'uuid';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startApi, type TestApi } from './harness.ts';

const sink = (name: string) => ({
  type: 'webhook',
  name,
  url: 'https://sink.example/hook',
  secret: `whsec_${Buffer.alloc(24).toString('base64')}`,
});

let api: TestApi;
beforeAll(async () => {
  api = await startApi({ alerts: { sinks: [sink('pager'), sink('chat')] } });
});
afterAll(() => api.close());

async function store(database: string | null): Promise<string> {
  const id = newId();
  await api.deps.control.prisma.alert.create({
    data: { id, condition: 'job-failed', severity: 'error', database, title: 'It failed', body: {} },
  });
  return id;
}

test('a test alert has one delivery for each sink, and shows in the list', async () => {
  const response = await api.post('/api/alerts/test', {});
  expect(response.statusCode).toBe(202);
  expect(response.json().jobs).toHaveLength(2);
  const [alert] = (await api.get('/api/alerts')).json().items;
  expect(alert).toMatchObject({ condition: 'test', database: null, body: { requestedBy: 'operator' } });
  expect(alert.deliveries.map((delivery: { sink: string }) => delivery.sink).sort()).toEqual([
    'chat',
    'pager',
  ]);
  for (const { jobId, deliveredAt } of alert.deliveries) {
    expect(deliveredAt).toBeNull();
    expect((await api.get(`/api/jobs/${jobId}`)).json()).toMatchObject({
      kind: 'alert-delivery',
      state: 'queued',
    });
  }
});

test('an alert is delivered once more', async () => {
  const id = await store('billing');
  const response = await api.post(`/api/alerts/${id}/redeliver`, undefined, 'billing');
  expect(response.statusCode).toBe(202);
  const { items } = (await api.get('/api/alerts?database=billing', 'billing')).json();
  expect(items.find((item: { id: string }) => item.id === id).deliveries).toHaveLength(2);
});

test.each(['orders', null])(
  'an alert of %s is not there for a token of another database',
  async (database) => {
    const id = await store(database);
    expect((await api.post(`/api/alerts/${id}/redeliver`, undefined, 'billing')).json()).toMatchObject({
      status: 404,
      code: 'ALERT_NOT_FOUND',
    });
    expect((await api.post('/api/alerts/test', {}, 'billing')).json().code).toBe('DATABASE_FORBIDDEN');
  },
);
