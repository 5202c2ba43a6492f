import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Answer, bearer, registered, startApi, type TestApi } from './harness.ts';

let api: TestApi;
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.close());

const path = '/api/data-migrations';
const backfill = { name: 'cents', kind: 'backfill', table: 'item', set: { cents: 'total * 100' } };
const copy = { name: 'to-billing', kind: 'copy', table: 'item', to: { database: 'billing', table: 'item' } };
const patch = (
  url: string,
  payload: object,
  as: Parameters<typeof bearer>[0] = 'operator',
): Promise<Answer> => api.app.inject({ method: 'PATCH', url, headers: bearer(as), payload });
const create = async (spec: object = backfill, more: object = {}): Promise<string> =>
  (await api.post(path, { database: 'orders', spec, ...more })).json().id;

test('a data migration is accepted with the job to follow, and found again', async () => {
  const created = await api.post(path, { database: 'orders', spec: backfill, flag: 'read-cents' });
  expect(created.statusCode).toBe(202);
  const { id, job } = created.json();
  expect(created.headers.location).toBe(`/api/jobs/${job.id}`);
  const found = (await api.get(`${path}/${id}`)).json();
  expect(found).toMatchObject({
    ...{
      id,
      name: 'cents',
      kind: 'backfill',
      database: 'orders',
      writtenDatabase: 'orders',
      state: 'waiting',
    },
    spec: { ...backfill, parallelism: 1, toleratedRows: 0 },
    control: { paused: false, parallelism: 1, pace: { targetMs: 250, rowsPerSecond: null }, limits: {} },
    ...{ flag: 'read-cents', report: null, progress: null, throttle: null, validation: null, endedAt: null },
    job: { id: job.id, state: 'queued' },
  });
  const { report: _, ...listed } = found;
  expect((await api.get(`${path}?limit=1`)).json().items).toEqual([listed]);
  expect((await api.get('/api/flags?database=orders')).json().items).toMatchObject([
    { key: 'read-cents', state: 'off', owner: { kind: 'data migration', name: 'cents' } },
  ]);
});

test('the same request with the same key is one data migration', async () => {
  const headers = { 'idempotency-key': 'once' };
  const body = { database: 'orders', spec: { ...backfill, name: 'once' } };
  const first = await api.post(path, body, 'operator', headers);
  const second = await api.post(path, body, 'operator', headers);
  expect(second.json()).toEqual(first.json());
  expect((await api.get(`${path}?name=once`)).json().items).toHaveLength(1);
});

test('they are listed by page, name, state and database', async () => {
  const ids = [];
  for (let n = 0; n < 3; n += 1) ids.push(await create({ ...backfill, name: 'listed' }));
  const first = (await api.get(`${path}?name=listed&limit=2`)).json();
  expect(first.items.map(({ id }: { id: string }) => id)).toEqual([ids[2], ids[1]]);
  const rest = (await api.get(`${path}?name=listed&limit=2&cursor=${first.nextCursor}`)).json();
  expect(rest).toMatchObject({ items: [{ id: ids[0] }], nextCursor: null });

  const job = first.items[1].job.id;
  await api.deps.control.prisma.job.update({ where: { id: job }, data: { state: 'failed' } });
  const listed = async (query: string): Promise<string[]> =>
    (await api.get(`${path}?name=listed&${query}`)).json().items.map(({ id }: { id: string }) => id);
  expect(await listed('state=failed')).toEqual([ids[1]]);
  expect(await listed('state=waiting')).toEqual([ids[2], ids[0]]);
  expect(await listed('state=paused')).toEqual([]);
  expect(await listed('database=billing')).toEqual([]);
});

test('a token has to be for both databases, to ask and to read', async () => {
  const refused = await api.post(
    path,
    { database: 'billing', spec: { ...copy, to: { database: 'orders', table: 'x' } } },
    'billing',
  );
  expect(refused.json()).toMatchObject({ status: 403, code: 'DATABASE_FORBIDDEN' });
  const forth = await create(copy);
  const back = await create({ ...copy, to: { database: 'orders', table: 'x' } }, { database: 'billing' });
  for (const id of [forth, back])
    for (const answer of [
      await api.get(`${path}/${id}`, 'billing'),
      await api.get(`${path}/${id}/quarantine`, 'billing'),
      await api.post(`${path}/${id}/cancel`, undefined, 'billing'),
      await patch(`${path}/${id}`, { paused: true }, 'billing'),
    ])
      expect(answer.json()).toMatchObject({ status: 404, code: 'DATA_MIGRATION_NOT_FOUND' });
  expect((await api.get(path, 'billing')).json().items).toEqual([]);
  expect((await api.post(path, { database: 'orders', spec: backfill }, 'reader')).statusCode).toBe(403);
  expect((await patch(`${path}/${forth}`, { paused: true }, 'reader')).statusCode).toBe(403);
});

describe('a request that is not right', () => {
  test.each([
    [{ spec: {} }, '/spec/kind'],
    [{ spec: { ...backfill, kind: 'truncate' } }, '/spec/kind'],
    [{ spec: { ...backfill, sql: 'drop table x' } }, '/spec/sql'],
    [{ spec: { ...backfill, set: {} } }, '/spec/set'],
    [{ spec: { ...backfill, name: 'a b' } }, '/spec/name'],
    [{ spec: { ...backfill, parallelism: 33 } }, '/spec/parallelism'],
    [{ spec: { ...backfill, pace: { targetMs: 1 } } }, '/spec/pace/targetMs'],
    [{ spec: { ...backfill, limits: { unknown: 1 } } }, '/spec/limits/unknown'],
    [
      { spec: { ...backfill, limits: { latency: { url: 'http://127.0.0.1/', value: '/p95', limit: 1 } } } },
      '/spec/limits/latency',
    ],
    [{ spec: { name: 'x', kind: 'delete', table: 'item' } }, '/spec/where'],
    [{ spec: { ...backfill, table: 'a\u0000' } }, '/spec/table'],
    [{ spec: backfill, flag: 'no blank' }, '/flag'],
    [{ spec: backfill, validate: false }, '/validate'],
    [{ spec: backfill, database: '' }, '/database'],
  ])('is refused: %o', async (body, pointer) => {
    const answer = (await api.post(path, { database: 'orders', ...body })).json();
    expect(answer).toMatchObject({ status: 400, code: 'VALIDATION_FAILED' });
    expect(answer.errors.map((fault: { pointer: string }) => fault.pointer)).toContain(pointer);
  });

  test('a database that is not registered, on either side', async () => {
    expect((await api.post(path, { database: 'nothing', spec: backfill })).json()).toMatchObject({
      ...{ status: 404, code: 'DATABASE_UNKNOWN' },
    });
    const spec = { ...copy, to: { database: 'nothing', table: 'x' } };
    expect((await api.post(path, { database: 'orders', spec })).json()).toMatchObject({
      ...{ status: 404, code: 'DATABASE_UNKNOWN' },
    });
  });

  test.each([
    [{ parallelism: 0 }, '/parallelism'],
    [{ pace: { rowsPerSecond: 0 } }, '/pace/rowsPerSecond'],
    [{ paused: 'yes' }, '/paused'],
    [{ toleratedRows: 3 }, '/toleratedRows'],
  ])('a change of another form: %o', async (body, pointer) => {
    expect((await patch(`${path}/${await create()}`, body)).json()).toMatchObject({
      ...{ status: 400, errors: [expect.objectContaining({ pointer })] },
    });
  });

  test('an id that is none', async () => {
    const id = '019386ac-0000-7000-8000-000000000000';
    for (const answer of [
      await api.get(`${path}/${id}`),
      await patch(`${path}/${id}`, { paused: true }),
      await api.post(`${path}/${id}/resume`),
      await api.post(`${path}/${id}/quarantine/retry`, {}),
      await patch(`${path}/${id}/quarantine/1`, { set: { a: 'b' } }),
    ])
      expect(answer.json()).toMatchObject({ status: 404, code: 'DATA_MIGRATION_NOT_FOUND' });
    expect((await api.get(`${path}/x`)).statusCode).toBe(400);
    expect((await api.get(`${path}/${await create()}/quarantine?cursor=eA`)).json().code).toBe(
      'INVALID_CURSOR',
    );
    expect((await patch(`${path}/${await create()}/quarantine/0`, { set: { a: 'b' } })).statusCode).toBe(400);
    expect((await patch(`${path}/${await create()}/quarantine/1`, { set: {} })).statusCode).toBe(400);
  });
});

test('a database that is away is told where its rows at fault are asked for', async () => {
  expect((await api.get(`${path}/${await create()}/quarantine`)).json()).toMatchObject({
    ...{ status: 503, code: 'DATABASE_UNREACHABLE' },
  });
});

test('what is changed is merged, and told with the record', async () => {
  const id = await create({ ...backfill, parallelism: 2, limits: { lockWaitMs: 500 } });
  const changed = await patch(`${path}/${id}`, { parallelism: 4, pace: { rowsPerSecond: 100 } });
  expect(changed.json()).toMatchObject({
    control: {
      paused: false,
      parallelism: 4,
      pace: { targetMs: 250, rowsPerSecond: 100 },
      limits: { lockWaitMs: 500 },
    },
    spec: { parallelism: 2, pace: { rowsPerSecond: null } },
  });
  expect((await patch(`${path}/${id}`, { limits: {} })).json().control).toMatchObject({
    limits: {},
    parallelism: 4,
  });
});

test('a cancelled one that waits is for a worker to end', async () => {
  const id = await create();
  expect((await api.post(`${path}/${id}/cancel`)).json()).toMatchObject({
    ...{ state: 'waiting', cancelRequestedBy: 'operator', job: { state: 'queued' } },
  });
});

test('several who resume one that has failed get one job', async () => {
  const id = await create();
  const { prisma } = api.deps.control;
  const { jobId } = await prisma.dataMigration.findUniqueOrThrow({ where: { id } });
  await prisma.job.update({ where: { id: jobId }, data: { state: 'failed' } });
  const answers = await Promise.all([1, 2, 3, 4].map(() => api.post(`${path}/${id}/resume`)));
  const jobs = new Set(answers.map((answer) => answer.json().job.id));
  expect(jobs.size).toBe(1);
  expect(jobs).not.toContain(jobId);
  const payload = { path: ['dataMigration'], equals: id };
  expect(await prisma.job.count({ where: { kind: 'data-migration', payload } })).toBe(2);
});

test('the policy of either database says how much may be asked for', async () => {
  const strict = { dataMigrations: { parallelism: 2, rowsPerSecond: 500, toleratedRows: 10 } };
  const policy = { backup: { never: 'a test database' }, ...strict };
  const own = await startApi({ databases: [registered('orders'), registered('billing', { policy })] });
  try {
    for (const more of [{ parallelism: 3 }, { toleratedRows: 11 }, { pace: { rowsPerSecond: 501 } }]) {
      const answer = await own.post(path, { database: 'orders', spec: { ...copy, ...more } });
      expect(answer.json()).toMatchObject({
        status: 422,
        code: 'POLICY_FORBIDS',
        details: { database: 'billing' },
      });
      expect((await own.post(path, { database: 'orders', spec: { ...backfill, ...more } })).statusCode).toBe(
        202,
      );
    }
    const { id } = (await own.post(path, { database: 'orders', spec: { ...copy, parallelism: 2 } })).json();
    const url = `${path}/${id}`;
    expect((await own.get(url)).json().control.pace).toMatchObject({ rowsPerSecond: 500 });
    const change = (payload: object) =>
      own.app.inject({ method: 'PATCH', url, headers: bearer('operator'), payload });
    expect((await change({ parallelism: 3 })).json().code).toBe('POLICY_FORBIDS');
    expect((await change({ pace: { rowsPerSecond: 100 } })).json().control.pace).toMatchObject({
      rowsPerSecond: 100,
    });
    expect((await change({ pace: { rowsPerSecond: null } })).json().control.pace).toMatchObject({
      rowsPerSecond: 500,
    });
  } finally {
    await own.close();
  }
});
