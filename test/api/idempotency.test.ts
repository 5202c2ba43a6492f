import { afterAll, beforeAll, expect, test } from 'vitest';
import { startApi, type TestApi } from './harness.ts';

let api: TestApi;
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.close());

let keys = 0;
const newKey = () => ({ 'idempotency-key': `key-${++keys}` });
const backUp = (headers: Record<string, string>, database = 'orders') =>
  api.post('/api/backups', { database }, 'operator', headers);
const rows = (key: string) => api.deps.control.prisma.idempotencyKey.findMany({ where: { key } });

test('the same request gets the first answer again, and nothing is done twice', async () => {
  const key = newKey();
  const first = await backUp(key);
  const again = await backUp(key);
  expect([first.statusCode, again.statusCode]).toEqual([202, 202]);
  expect(again.body).toBe(first.body);
  expect(again.headers.location).toBe(first.headers.location);
  expect(again.headers['content-type']).toBe(first.headers['content-type']);
  expect([first.headers['idempotency-replayed'], again.headers['idempotency-replayed']]).toEqual([
    undefined,
    'true',
  ]);
  expect(await api.deps.control.prisma.backup.count({ where: { id: first.json().id } })).toBe(1);
});

test('another body with the same key is refused', async () => {
  const key = newKey();
  await backUp(key);
  const other = await backUp(key, 'billing');
  expect(other.json()).toMatchObject({ status: 422, code: 'IDEMPOTENCY_KEY_REUSED' });
});

test('a key is one of its token and its route', async () => {
  const key = newKey();
  const first = await backUp(key);
  const ofAnother = await api.post('/api/backups', { database: 'orders' }, 'admin', key);
  expect(ofAnother.json().id).not.toBe(first.json().id);
  expect((await api.post('/api/health-checks', {}, 'operator', key)).statusCode).toBe(202);
});

test('a duplicate of a request that is not answered yet is told so', async () => {
  const key = newKey();
  const answers = await Promise.all([backUp(key), backUp(key), backUp(key)]);
  const statuses = answers.map((answer) => answer.statusCode).sort();
  expect(statuses[0]).toBe(202);
  for (const answer of answers)
    if (answer.statusCode === 409) expect(answer.json().code).toBe('IDEMPOTENCY_KEY_IN_USE');
    else expect(answer.json().id).toBe(answers.find((one) => one.statusCode === 202)?.json().id);
  const pinned = { ...key };
  await api.deps.control.prisma.idempotencyKey.updateMany({
    where: { key: pinned['idempotency-key'] },
    data: { status: null },
  });
  expect((await backUp(key)).json()).toMatchObject({ status: 409, code: 'IDEMPOTENCY_KEY_IN_USE' });
});

test('a key that a dead process left unanswered, or that is 24 hours old, is free again', async () => {
  for (const data of [
    { status: null, createdAt: new Date(Date.now() - 6 * 60_000) },
    { createdAt: new Date(Date.now() - 25 * 3_600_000) },
  ]) {
    const key = newKey();
    const first = await backUp(key);
    await api.deps.control.prisma.idempotencyKey.updateMany({ where: { key: key['idempotency-key'] }, data });
    const second = await backUp(key);
    expect(second.statusCode).toBe(202);
    expect(second.json().id).not.toBe(first.json().id);
  }
});

test('a refusal is an answer, and a request that failed on our side is none', async () => {
  const refused = newKey();
  const unknown = await backUp(refused, 'unheard-of');
  expect(unknown.statusCode).toBe(404);
  expect((await backUp(refused, 'unheard-of')).headers['idempotency-replayed']).toBe('true');
  expect((await backUp(refused, 'unheard-of')).headers['content-type']).toContain('application/problem+json');

  const failed = newKey();
  await api.deps.queue.close();
  expect((await backUp(failed)).statusCode).toBe(503);
  expect(await rows(failed['idempotency-key'])).toEqual([]);
});

test.each(['', 'two words', 'ü', 'x'.repeat(256)])('a key of another form is refused: "%s"', async (key) => {
  const response = await api.post('/api/backups', { database: 'orders' }, 'operator', {
    'idempotency-key': key,
  });
  expect(response.json()).toMatchObject({
    status: 400,
    errors: [expect.objectContaining({ in: 'header', pointer: '/idempotency-key' })],
  });
});
