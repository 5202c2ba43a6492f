import { afterAll, beforeAll, expect, test } from 'vitest';
import { startApi, type TestApi } from './harness.ts';

let api: TestApi;
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.close());

const place = (database: string) => ({ database, table: 'item' });
const request = { source: place('billing'), target: place('orders'), columns: { name: 'lower(name)' } };

test('a validation is accepted with the job to follow, and found again', async () => {
  const created = await api.post('/api/validations', request);
  expect(created.statusCode).toBe(202);
  const { id, job } = created.json();
  expect(created.headers.location).toBe(`/api/jobs/${job.id}`);
  expect(await api.deps.control.prisma.job.findUnique({ where: { id: job.id } })).toMatchObject({
    kind: 'validation',
    database: 'orders',
    exclusive: false,
  });
  const found = (await api.get(`/api/validations/${id}`)).json();
  expect(found).toMatchObject({
    id,
    database: 'orders',
    sourceDatabase: 'billing',
    request: { ...request, extraRows: 'refused', parallelism: 1, values: 'shown' },
    outcome: null,
    job: { id: job.id, state: 'queued' },
  });
  const { outcome: _, ...listed } = found;
  expect((await api.get('/api/validations?limit=1')).json().items).toEqual([listed]);
});

test('a token has to be for both databases, to ask and to read', async () => {
  for (const [source, target] of [
    ['orders', 'billing'],
    ['billing', 'orders'],
  ] as const) {
    const refused = await api.post(
      '/api/validations',
      { source: place(source), target: place(target) },
      'billing',
    );
    expect(refused.json()).toMatchObject({ status: 403, code: 'DATABASE_FORBIDDEN' });
    const created = await api.post('/api/validations', { source: place(source), target: place(target) });
    const read = await api.get(`/api/validations/${created.json().id}`, 'billing');
    expect(read.json()).toMatchObject({ status: 404, code: 'VALIDATION_NOT_FOUND' });
  }
  const own = await api.post(
    '/api/validations',
    { source: place('billing'), target: place('billing') },
    'billing',
  );
  expect((await api.get(`/api/validations/${own.json().id}`, 'billing')).statusCode).toBe(200);
  const { items } = (await api.get('/api/validations', 'billing')).json();
  expect(items.map((item: { id: string }) => item.id)).toEqual([own.json().id]);
});

test.each([
  [{ source: place('orders') }, '/target'],
  [{ ...request, parallelism: 0 }, '/parallelism'],
  [{ ...request, columns: { name: '' } }, '/columns/name'],
  [{ ...request, key: [] }, '/key'],
  [{ ...request, target: { ...place('orders'), sql: 'x' } }, '/target/sql'],
])('a request of another form is refused: %o', async (body, pointer) => {
  expect((await api.post('/api/validations', body)).json()).toMatchObject({
    status: 400,
    errors: [expect.objectContaining({ pointer })],
  });
});
