import { v7 as newId } from 'uuid';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { appendEvent } from '../../src/db/control/job-rows.ts';
import { bearer, startApi, type TestApi } from './harness.ts';

let api: TestApi;
let origin: string;
beforeAll(async () => {
  api = await startApi();
  origin = await api.app.listen({ port: 0, host: '127.0.0.1' });
});
afterAll(() => api.close());

async function store(state = 'running'): Promise<string> {
  const id = newId();
  await api.deps.control.prisma.job.create({
    data: {
      id,
      kind: 'backup',
      queue: 'operations',
      database: 'orders',
      payload: {},
      requestedBy: 'x',
      state,
    },
  });
  return id;
}

const write = (jobId: string, type: string, body: object = {}) =>
  appendEvent(api.deps.control.prisma, { jobId, attempt: 0 }, { type, body: { ...body } });

/** As a worker does it: the state and its event become visible together. */
const end = (jobId: string) =>
  api.deps.control.prisma.$transaction(async (transaction) => {
    await transaction.job.update({ where: { id: jobId }, data: { state: 'succeeded' } });
    await appendEvent(transaction, { jobId, attempt: 0 }, { type: 'succeeded', body: {} });
  });

interface Message {
  readonly id: string;
  readonly event: string;
  readonly data: { number: number; type: string; body: unknown };
}

/** Reads a stream to its end. */
async function* follow(id: string, query = '', headers = {}, signal?: AbortSignal): AsyncGenerator<Message> {
  const response = await fetch(`${origin}/api/jobs/${id}/events${query}`, {
    headers: { ...bearer('reader'), ...headers },
    signal: signal ?? null,
  });
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toBe('text/event-stream');
  let text = '';
  for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    text += chunk;
    for (let at = text.indexOf('\n\n'); at >= 0; at = text.indexOf('\n\n')) {
      const lines = text.slice(0, at).split('\n');
      text = text.slice(at + 2);
      const field = (name: string) =>
        lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2) ?? '';
      if (field('data') !== '')
        yield { id: field('id'), event: field('event'), data: JSON.parse(field('data')) };
    }
  }
}

const collect = async (messages: AsyncIterable<Message>): Promise<Message[]> => {
  const all = [];
  for await (const message of messages) all.push(message);
  return all;
};
const ids = async (messages: AsyncIterable<Message>) =>
  (await collect(messages)).map((message) => message.id);

describe('a finished job', () => {
  let id: string;
  beforeAll(async () => {
    id = await store();
    await write(id, 'step-started', { step: 'dump' });
    await write(id, 'progress', { text: 'two\nlines, and a "quote"' });
    await end(id);
  });

  test('is told from the first event to the last, and the stream ends', async () => {
    const messages = await collect(follow(id));
    expect(messages.map(({ id: number, event }) => [number, event])).toEqual([
      ['1', 'step-started'],
      ['2', 'progress'],
      ['3', 'succeeded'],
    ]);
    expect(messages[1]?.data).toMatchObject({
      number: 2,
      type: 'progress',
      body: { text: 'two\nlines, and a "quote"' },
    });
  });

  test.each([
    ['?after=1', {}, ['2', '3']],
    ['', { 'last-event-id': '2' }, ['3']],
    ['?after=0', { 'last-event-id': '2' }, ['3']],
    ['?after=3', {}, []],
  ])('goes on after the last one known: %s %o', async (query, headers, expected) => {
    expect(await ids(follow(id, query, headers))).toEqual(expected);
  });

  test('an id that is none of ours is refused before the stream begins', async () => {
    const response = await api.get(`/api/jobs/${id}/events`, 'reader', { 'last-event-id': 'abc' });
    expect(response.json()).toMatchObject({
      status: 400,
      errors: [expect.objectContaining({ in: 'header' })],
    });
  });
});

test('the stream is open before the first event, so that a client knows that it is heard', async () => {
  const id = await store();
  const response = await fetch(`${origin}/api/jobs/${id}/events`, {
    headers: bearer('reader'),
    signal: AbortSignal.timeout(3_000),
  });
  expect(response.status).toBe(200);
  await response.body?.cancel();
});

test('events arrive as they are written; who reconnects misses none and sees none twice', async () => {
  const id = await store();
  await write(id, 'queued');
  const leaving = new AbortController();
  const first = follow(id, '', {}, leaving.signal);
  expect((await first.next()).value?.id).toBe('1');
  await write(id, 'step-started');
  expect((await first.next()).value?.id).toBe('2');
  leaving.abort();
  await write(id, 'progress');
  const rest = ids(follow(id, '', { 'last-event-id': '2' }));
  await write(id, 'progress');
  await end(id);
  expect(await rest).toEqual(['3', '4', '5']);
});

test('many clients follow one job, and each gets everything', async () => {
  const id = await store();
  const following = Array.from({ length: 20 }, () => ids(follow(id)));
  for (let number = 1; number < 50; number += 1) await write(id, 'progress', { number });
  await end(id);
  const expected = Array.from({ length: 50 }, (_, index) => String(index + 1));
  for (const seen of await Promise.all(following)) expect(seen).toEqual(expected);
});

test('a client that does not read holds up neither the others nor the memory', async () => {
  const id = await store();
  const idle = await fetch(`${origin}/api/jobs/${id}/events`, { headers: bearer('reader') });
  const text = 'x'.repeat(100_000);
  for (let number = 0; number < 100; number += 1) await write(id, 'progress', { text });
  const before = process.memoryUsage().rss;
  await end(id);
  expect((await ids(follow(id))).length).toBe(101);
  expect(process.memoryUsage().rss - before).toBeLessThan(150 * 1_048_576);
  await idle.body?.cancel();
});

test('a client that leaves is no error', async () => {
  const id = await store();
  await write(id, 'queued');
  const leaving = new AbortController();
  const stream = follow(id, '', {}, leaving.signal);
  await stream.next();
  leaving.abort();
  // Its place is free again when nobody follows the job any more: a later client begins a new reader.
  await write(id, 'progress');
  await end(id);
  expect(await ids(follow(id))).toEqual(['1', '2', '3']);
  expect(api.logged()).not.toMatch(/"level":[56]0/);
});

test('closing ends open streams at once, and a waiting gate is told to ask again', async () => {
  const other = await startApi();
  const url = await other.app.listen({ port: 0, host: '127.0.0.1' });
  const id = newId();
  await other.deps.control.prisma.job.create({
    data: { id, kind: 'backup', queue: 'operations', payload: {}, requestedBy: 'x', state: 'running' },
  });
  let asked = 0;
  other.app.server.on('request', () => {
    asked += 1;
  });
  const stream = await fetch(`${url}/api/jobs/${id}/events`, { headers: bearer('reader') });
  expect(stream.status).toBe(200);
  const gate = fetch(`${url}/api/jobs/${id}/result?wait=300`, { headers: bearer('reader') });
  await expect.poll(() => asked).toBe(2);
  const startedAt = performance.now();
  await other.close();
  expect(performance.now() - startedAt).toBeLessThan(3_000);
  const answer = await gate;
  expect([answer.status, answer.headers.has('retry-after')]).toEqual([504, true]);
});
