import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { withSession } from '../../src/db/session.ts';
import { parseTarget } from '../../src/db/target.ts';
import type { JobKind } from '../../src/jobs/define-job.ts';
import { vaultExpiry } from '../../src/jobs/kinds/vault-expiry.ts';
import { askForExpiry } from '../../src/jobs/vault/ask-for-expiry.ts';
import { type RunningWorker, startWorker } from '../../src/jobs/worker.ts';
import { deploy } from '../migrations/deploy.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';
import { openSwitchback } from '../support/switchback.ts';
import { waitFor } from '../support/wait.ts';
import { bearer, registered, startApi, type TestApi, type TokenName } from './harness.ts';

const files = {
  '1_users':
    "create table users (id int primary key, email text); insert into users values (1, 'a'), (2, 'b');",
  '2_less': 'alter table users drop column email;',
  '3_none': 'drop table users;',
};

let target: TestDatabase;
let api: TestApi;
beforeAll(async () => {
  target = await createDatabase();
  await deploy(target.url, files, { vault: {}, jobId: 'deployment' });
  api = await startApi({
    databases: [registered('orders', { url: target.url }), registered('billing')],
  });
});
afterAll(async () => {
  await api.close();
  await target.drop();
});

const query = <Row extends object>(sql: string): Promise<Row[]> =>
  withSession(parseTarget(target.url), { applicationName: 'test' }, async (session) => {
    return (await session.query<Row>(sql)).rows;
  });
const list = async (more = '', as: TokenName = 'reader') =>
  (await api.get(`/api/vault?database=orders${more}`, as)).json();
const remove = async (id: string, as: TokenName = 'approver', database = 'orders') =>
  (
    await api.app.inject({
      method: 'DELETE',
      url: `/api/vault/${id}?database=${database}`,
      headers: bearer(as),
    })
  ).json();

describe('the vault', () => {
  test('lists what is kept, its size and until when, newest first, a page at a time', async () => {
    const { items, nextCursor } = await list('&limit=1');
    expect(items).toMatchObject([
      { kind: 'table', table: 'users', migration: '3_none', direction: 'forth', rows: 2, state: 'kept' },
    ]);
    const [{ savedAt, keepUntil, bytes }] = items;
    expect(Date.parse(keepUntil) - Date.parse(savedAt)).toBeGreaterThan(29 * 86_400_000);
    expect(bytes).toBeGreaterThan(0);
    const rest = await list(`&limit=1&cursor=${nextCursor}`);
    expect(rest).toMatchObject({ items: [{ kind: 'column', columns: ['email'] }], nextCursor: null });
  });

  test('shows what could not be put back', async () => {
    const [{ id }] = (await list('&limit=1')).items;
    await query(`insert into switchback_vault.conflict (entry, reason, detail, kept)
                 values ('${id}', 'changed', 'Somebody else has written it.', '{"id": "1", "email": null}')`);
    expect((await list('&limit=1')).items).toMatchObject([{ id, conflicts: 1 }]);
    expect((await api.get(`/api/vault/${id}?database=orders`)).json()).toMatchObject({
      id,
      conflicts: 1,
      examples: [{ reason: 'changed', kept: { id: '1', email: null } }],
    });
  });

  test('of a database that never removed anything is empty', async () => {
    const other = await createDatabase();
    const empty = await startApi({ databases: [registered('orders', { url: other.url })] });
    try {
      expect((await empty.get('/api/vault?database=orders')).json()).toEqual({ items: [], nextCursor: null });
    } finally {
      await empty.close();
      await other.drop();
    }
  });

  test('is named by its database, which the caller may see', async () => {
    expect((await api.get('/api/vault')).json()).toMatchObject({ status: 400, code: 'VALIDATION_FAILED' });
    expect((await api.get('/api/vault?database=orders', 'billing')).json().code).toBe('DATABASE_FORBIDDEN');
    expect((await api.get('/api/vault?database=nowhere')).json().code).toBe('DATABASE_UNKNOWN');
    expect((await api.get('/api/vault?database=billing')).json()).toMatchObject({
      status: 503,
      code: 'DATABASE_UNREACHABLE',
    });
    expect((await list(`&cursor=${Buffer.from('x').toString('base64url')}`)).code).toBe('INVALID_CURSOR');
    expect((await api.get(`/api/vault/${randomUUID()}?database=orders`)).json().code).toBe(
      'VAULT_ENTRY_NOT_FOUND',
    );
  });
});

describe('an entry is removed', () => {
  let id: string;
  beforeEach(async () => {
    await api.deps.control.prisma.job.deleteMany();
    [{ id }] = (await list('&limit=1')).items;
  });

  test('by who may approve it, not by who operates', async () => {
    expect(await remove(id, 'operator')).toMatchObject({ code: 'SCOPE_MISSING' });
    expect(await remove(id, 'billing')).toMatchObject({ code: 'DATABASE_FORBIDDEN' });
  });

  test('not while an operation may need it', async () => {
    await api.post('/api/rollbacks', { database: 'orders', count: 1 });
    expect(await remove(id)).toMatchObject({ status: 409, code: 'DATABASE_BUSY' });
  });

  test('for good; its line stays', async () => {
    const [{ relation }] = (await query<{ relation: string }>(
      `select relation from switchback_vault.entry where id = '${id}'`,
    )) as [{ relation: string }];
    expect(await remove(id)).toMatchObject({ id, state: 'removed', bytes: 0, conflicts: 0 });
    expect(await query(`select to_regclass('switchback_vault.${relation}') as kept`)).toEqual([
      { kept: null },
    ]);
    expect((await list('&state=removed')).items).toMatchObject([{ id }]);
    expect((await list('&state=kept')).items).toMatchObject([{ kind: 'column' }]);
    expect(await remove(id)).toMatchObject({ state: 'removed' });
    expect(await remove(randomUUID())).toMatchObject({ status: 404, code: 'VAULT_ENTRY_NOT_FOUND' });
  });
});

describe('what has outlived its retention', () => {
  const workers: RunningWorker[] = [];
  let place: TestDatabase;
  let switchback: Awaited<ReturnType<typeof openSwitchback>>;
  beforeEach(async () => {
    place = await createDatabase();
    await deploy(place.url, files, { vault: {} });
    switchback = await openSwitchback({
      databases: [
        { name: 'away', url: 'postgres://nobody@127.0.0.1:1/nowhere', migrations: '/none' },
        { name: 'orders', url: place.url, migrations: '/none' },
      ],
    });
    return async () => {
      for (const worker of workers.splice(0)) await worker.stop();
      await switchback.close();
      await place.drop();
    };
  });

  const states = () =>
    withSession(parseTarget(place.url), { applicationName: 'test' }, async (session) => {
      const { rows } = await session.query<{ state: string }>(
        'select state from switchback_vault.entry order by number',
      );
      return rows.map(({ state }) => state);
    });
  const expire = () =>
    withSession(parseTarget(place.url), { applicationName: 'test' }, (session) =>
      session.query(
        "update switchback_vault.entry set keep_until = now() - interval '1 second' where kind = 'table'",
      ),
    );

  test('is removed by one worker of several, and databases that are away are passed over', async () => {
    await expire();
    const options = { heartbeatMs: 200, staleMs: 1_500, repairMs: 200, expiryMs: 600_000 };
    for (let count = 0; count < 2; count += 1) workers.push(await startWorker(switchback.deps, options));
    await Promise.all(Array.from({ length: 4 }, () => askForExpiry(switchback.deps, 600_000)));
    await waitFor(states, {
      until: (seen) => seen.join() === 'kept,removed',
      what: 'the entry to be removed',
    });
    const { prisma } = switchback.deps.control;
    const jobs = await waitFor(() => prisma.job.findMany({ where: { kind: vaultExpiry.name } }), {
      until: (found) => found.every(({ state }) => state === 'succeeded'),
      what: 'the end of the job',
    });
    expect(jobs).toMatchObject([
      {
        requestedBy: 'switchback',
        result: {
          expired: [
            { database: 'away', removed: [], error: { code: 'DATABASE_UNREACHABLE' } },
            { database: 'orders', removed: [expect.any(String)], error: null },
          ],
        },
      },
    ]);
    await askForExpiry(switchback.deps, 600_000);
    expect(await prisma.job.count({ where: { kind: vaultExpiry.name } })).toBe(1);
  });

  test('is asked for by workers themselves, again and again', async () => {
    await expire();
    workers.push(await startWorker(switchback.deps, { expiryMs: 600 }));
    await waitFor(states, {
      until: (seen) => seen.join() === 'kept,removed',
      what: 'the entry to be removed',
    });
    const { prisma } = switchback.deps.control;
    await waitFor(() => prisma.job.count({ where: { kind: vaultExpiry.name } }), {
      until: (count) => count > 1,
      what: 'a second pass',
    });
  });

  test('stays while an operation may need it', async () => {
    await expire();
    const { prisma } = switchback.deps.control;
    const busy = { kind: 'rollback', queue: 'operations', database: 'orders', exclusive: true };
    await prisma.job.create({
      data: { ...busy, id: randomUUID(), payload: {}, requestedBy: 'ci', dueAt: new Date('2100-01-01') },
    });
    workers.push(
      await startWorker(switchback.deps, { kinds: [vaultExpiry] as readonly JobKind[], expiryMs: 600_000 }),
    );
    await askForExpiry(switchback.deps, 600_000);
    await waitFor(() => prisma.job.findFirstOrThrow({ where: { kind: vaultExpiry.name } }), {
      until: ({ state }) => state === 'succeeded',
      what: 'the end of the job',
    });
    expect(await states()).toEqual(['kept', 'kept']);
  });
});
