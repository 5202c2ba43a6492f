import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { v7 as newId } from 'uuid';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { appendEvent } from '../../src/db/control/job-rows.ts';
import type { ErrorCode } from '../../src/errors.ts';
import { bearer, startApi, type TestApi } from './harness.ts';

let api: TestApi;
let origin: string;
beforeAll(async () => {
  api = await startApi();
  origin = await api.app.listen({ port: 0, host: '127.0.0.1' });
});
afterAll(() => api.close());

interface Stored {
  readonly state?: string;
  readonly database?: string | null;
  readonly kind?: string;
  readonly result?: object;
  readonly error?: { code: ErrorCode; title: string; detail: string; details: object };
}

/** A job's row, as a worker would leave it. */
async function store(job: Stored = {}): Promise<string> {
  const id = newId();
  await api.deps.control.prisma.job.create({
    data: {
      id,
      kind: 'backup',
      queue: 'operations',
      database: 'orders',
      payload: {},
      requestedBy: 'operator',
      ...job,
    },
  });
  return id;
}

const failure = (code: ErrorCode, details: object = {}) => ({
  state: 'failed',
  error: { code, title: code, detail: `It ended with ${code}.`, details },
});

describe('a list', () => {
  test('pages through everything, newest first, nothing twice', async () => {
    const ids = [];
    for (let count = 0; count < 7; count += 1) ids.push(await store({ kind: 'recovery' }));
    const seen: string[] = [];
    let cursor: string | null = '';
    let pages = 0;
    while (cursor !== null) {
      const page: { items: { id: string }[]; nextCursor: string | null } = (
        await api.get(`/api/jobs?kind=recovery&limit=3${cursor && `&cursor=${cursor}`}`)
      ).json();
      seen.push(...page.items.map((job) => job.id));
      cursor = page.nextCursor;
      pages += 1;
    }
    expect(seen).toEqual(ids.toReversed());
    expect(pages).toBe(3);
  });

  test.each<[string, Stored]>([
    ['state=failed', { state: 'failed' }],
    ['database=billing', { database: 'billing' }],
    ['kind=deployment&state=running', { kind: 'deployment', state: 'running' }],
  ])('takes %s', async (query, wanted) => {
    const id = await store({ ...wanted, ...(wanted.state === 'failed' ? failure('BACKUP_FAILED') : {}) });
    const { items } = (await api.get(`/api/jobs?${query}`)).json();
    expect(items.map((job: { id: string }) => job.id)).toContain(id);
    for (const job of items) expect(job).toMatchObject(wanted);
  });
});

test('a job shows who asked for it, its progress, and the error with PostgreSQL’s detail', async () => {
  const id = await store(
    failure('STATEMENT_FAILED', { sqlstate: '23505', detail: 'Key (id)=(1) already exists.' }),
  );
  expect((await api.get(`/api/jobs/${id}`)).json()).toMatchObject({
    id,
    requestedBy: 'operator',
    percent: 0,
    state: 'failed',
    error: { code: 'STATEMENT_FAILED', details: { detail: 'Key (id)=(1) already exists.' } },
  });
});

describe('cancelling', () => {
  test('a queued job ends it', async () => {
    const { headers } = await api.post('/api/backups', { database: 'orders' });
    const response = await api.post(`${headers.location}/cancel`);
    expect(response.statusCode).toBe(202);
    expect(response.json()).toMatchObject({ state: 'cancelled', cancelRequestedBy: 'operator' });
  });

  test('a running job asks it to stop', async () => {
    const id = await store({ state: 'running' });
    const response = await api.post(`/api/jobs/${id}/cancel`);
    expect(response.json()).toMatchObject({ state: 'running', cancelRequestedBy: 'operator' });
    expect(response.json().cancelRequestedAt).not.toBeNull();
  });

  test('a finished job is refused', async () => {
    const id = await store({ state: 'succeeded' });
    expect((await api.post(`/api/jobs/${id}/cancel`)).json()).toMatchObject({
      status: 409,
      code: 'JOB_ALREADY_FINISHED',
    });
  });
});

describe('the result', () => {
  test('of a job that succeeded', async () => {
    const id = await store({ state: 'succeeded', result: { applied: 5 } });
    const response = await api.get(`/api/jobs/${id}/result?wait=300`);
    expect(response.statusCode).toBe(200);
    expect(response.json()).toMatchObject({ job: { id, state: 'succeeded' }, result: { applied: 5 } });
  });

  test('of a job that goes on: 504, to be asked again', async () => {
    const id = await store({ state: 'running' });
    const response = await api.get(`/api/jobs/${id}/result?wait=1`);
    expect(response.json()).toMatchObject({ status: 504, code: 'JOB_STILL_RUNNING' });
    expect(Number(response.headers['retry-after'])).toBeGreaterThan(0);
  });

  test.each<[ErrorCode, number]>([
    ['STATEMENT_FAILED', 424],
    ['DATABASE_UNREACHABLE', 424],
    ['LOCK_TIMEOUT', 424],
    ['RATE_LIMITED', 424],
    ['INTERNAL', 424],
    ['MIGRATION_DIVERGED', 409],
    ['MIGRATION_UNPARSABLE', 422],
    ['BUNDLE_NOT_FOUND', 404],
  ])('of a job that failed with %s: %i, never to be asked again', async (code, status) => {
    const id = await store(failure(code, { migration: 'x' }));
    const response = await api.get(`/api/jobs/${id}/result`);
    expect(response.statusCode).toBe(status);
    expect(response.json()).toMatchObject({ status, code, details: { migration: 'x', job: id } });
    expect(response.headers['retry-after']).toBeUndefined();
  });

  test('of a job that was cancelled', async () => {
    const id = await store({
      state: 'cancelled',
      error: { code: 'JOB_CANCELLED', title: '', detail: 'By x.', details: {} },
    });
    expect((await api.get(`/api/jobs/${id}/result`)).json()).toMatchObject({
      status: 409,
      code: 'JOB_CANCELLED',
    });
  });
});

describe('curl -f --retry as a deploy script’s gate', () => {
  const gate = (id: string) =>
    promisify(execFile)('curl', [
      ...[
        '-sS',
        '-f',
        '--retry',
        '99',
        '--max-time',
        '60',
        '-H',
        `authorization: ${bearer('reader').authorization}`,
      ],
      `${origin}/api/jobs/${id}/result?wait=1`,
    ]);

  test('ends at once when the job has failed', async () => {
    const id = await store(failure('DATABASE_UNREACHABLE'));
    const startedAt = performance.now();
    await expect(gate(id)).rejects.toMatchObject({ code: 22 });
    expect(performance.now() - startedAt).toBeLessThan(3_000);
  });

  test('waits through 504 until the job has succeeded', async () => {
    const id = await store({ state: 'running' });
    const waiting = gate(id);
    let asked = 0;
    api.app.server.on('request', () => {
      asked += 1;
    });
    await expect.poll(() => asked, { timeout: 20_000 }).toBeGreaterThan(1);
    await api.deps.control.prisma.job.update({
      where: { id },
      data: { state: 'succeeded', result: { applied: 1 } },
    });
    await appendEvent(api.deps.control.prisma, { jobId: id, attempt: 0 }, { type: 'succeeded', body: {} });
    expect(JSON.parse((await waiting).stdout)).toMatchObject({ result: { applied: 1 } });
  });
});

test('whoever leaves while waiting is waited for no longer', async () => {
  const id = await store({ state: 'running' });
  const leaving = new AbortController();
  const response = fetch(`${origin}/api/jobs/${id}/result?wait=300`, {
    headers: bearer('reader'),
    signal: leaving.signal,
  });
  const answered = new Promise<void>((resolve) => {
    api.app.server.once('request', (_request, reply) => {
      reply.once('close', resolve);
      setTimeout(() => leaving.abort(), 100);
    });
  });
  await expect(response).rejects.toThrow();
  await answered;
});
