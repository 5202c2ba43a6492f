import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { sql, value, withClient } from '../data-migrations/migrate.ts';
import { waitFor } from '../support/wait.ts';
import { type DataMigrationPlace, openDataMigrationPlace } from './data-migration-place.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

let place: DataMigrationPlace;
beforeAll(async () => {
  place = await openDataMigrationPlace();
  await place.work();
});
afterAll(() => place.close());

const orders = (text: string) => sql(place.orders.url, text);
const make = (name: string, rows: number): Promise<unknown> =>
  orders(
    `create table ${name} (id int primary key, balance int not null, cents int); insert into ${name} select n, n, null from generate_series(1, ${rows}) n`,
  );
const add = (table: string, more: object = {}) => ({
  ...{ kind: 'backfill', table, set: { balance: 'balance + 1' } },
  ...more,
});
/** Some seconds for some hundred rows. */
const slow = { pace: { maxRows: 20, rowsPerSecond: 100 } };
const changed = async (table: string): Promise<unknown> =>
  value(place.orders.url, `select count(*)::int from ${table} where balance = id + 1`);

describe('a data migration over HTTP', () => {
  test('runs to its end, with progress over Server-Sent Events, and is validated', async () => {
    await make('whole', 5_000);
    const created = await place.call('POST', '/api/data-migrations', {
      database: 'orders',
      spec: {
        ...{ name: 'cents', kind: 'backfill', table: 'whole', parallelism: 2 },
        ...{ set: { cents: 'balance * 100' }, where: 'cents is null' },
      },
    });
    expect(created.status).toBe(202);
    const { id, job } = created.body as { id: string; job: { id: string } };
    expect(created.headers.get('location')).toBe(`/api/jobs/${job.id}`);
    const events = await place.events(job.id);
    expect(events.at(-1)).toMatchObject({ event: 'succeeded' });
    const steps = events.flatMap(({ event, body }) =>
      event.startsWith('step-') ? [`${event} ${body.step as string}`] : [],
    );
    expect(steps).toEqual([
      'step-started migrate',
      'step-finished migrate',
      'step-started validate',
      'step-finished validate',
    ]);
    const last = events.findLast(({ event, body }) => event === 'progress' && body.step === 'migrate');
    expect(last?.body).toMatchObject({ done: 5_000, total: 5_000, unit: 'rows' });
    expect(await value(place.orders.url, 'select count(*)::int from whole where cents = balance * 100')).toBe(
      5_000,
    );
    expect(await place.shown(id)).toMatchObject({
      ...{
        id,
        name: 'cents',
        kind: 'backfill',
        database: 'orders',
        writtenDatabase: 'orders',
        state: 'finished',
      },
      progress: { scanned: 5_000, changed: 5_000, quarantined: 0, total: 5_000, exact: true, ranges: 0 },
      validation: { passed: true, by: 'rows-left', left: 0 },
      job: { id: job.id, state: 'succeeded' },
    });
    const { report } = (await place.call('GET', `/api/data-migrations/${id}`)).body;
    expect(report).toMatchObject({
      ...{ outcome: 'finished', requestedBy: 'tests', environment: 'production', error: null, flag: null },
      ...{ rows: { scanned: 5_000, changed: 5_000 }, validation: { passed: true }, pauses: { count: 0 } },
      timings: [{ step: 'migrate' }, { step: 'validate' }],
      markdown: expect.stringContaining('# Data migration log: cents in orders') as string,
    });
    const result = await place.call('GET', `/api/jobs/${job.id}/result`);
    expect(result).toMatchObject({ status: 200, body: { result: { dataMigration: id, changed: 5_000 } } });
  });

  test('stands still when it is paused, and goes on in the same job with another parallelism', async () => {
    await make('paused', 1_000);
    const { id, job } = await place.ask(add('paused', slow));
    await waitFor(async () => Number((await place.shown(id)).progress?.scanned) > 0, { what: 'a batch' });
    const paused = await place.call('PATCH', `/api/data-migrations/${id}`, { paused: true, parallelism: 3 });
    expect(paused).toMatchObject({ status: 200, body: { control: { paused: true, parallelism: 3 } } });
    const { progress } = await place.inState(id, 'paused');
    expect(progress?.scanned).toBeLessThan(1_000);
    expect(await changed('paused')).toBe(progress?.scanned);
    expect(await place.call('GET', `/api/jobs/${job}/result`)).toMatchObject({
      ...{ status: 504, body: { code: 'JOB_STILL_RUNNING' } },
    });
    expect((await place.call('GET', '/api/data-migrations?state=paused')).body.items).toMatchObject([{ id }]);

    const faster = { paused: false, pace: { rowsPerSecond: null, maxRows: 500 } };
    expect(await place.call('PATCH', `/api/data-migrations/${id}`, faster)).toMatchObject({
      status: 200,
      body: { control: { paused: false, pace: { maxRows: 500, targetMs: 250 } } },
    });
    expect(await place.inState(id, 'finished', 'failed')).toMatchObject({
      ...{ state: 'finished', job: { id: job, state: 'succeeded' } },
      progress: { changed: 1_000 },
    });
    expect(await changed('paused')).toBe(1_000);
    const types = (await place.events(job)).map(({ event }) => event);
    expect(types.filter((type) => type === 'paused' || type === 'resumed')).toEqual(['paused', 'resumed']);
    expect(await place.call('POST', `/api/data-migrations/${id}/pause`)).toMatchObject({
      ...{ status: 409, body: { code: 'DATA_MIGRATION_ENDED' } },
    });
  });

  test('what is changed holds while it runs', async () => {
    await make('faster', 20_000);
    // For minutes.
    const { id, job } = await place.ask(add('faster', slow));
    await waitFor(async () => Number((await place.shown(id)).progress?.scanned) > 0, { what: 'a batch' });
    const pace = { rowsPerSecond: null, maxRows: 10_000 };
    await place.call('PATCH', `/api/data-migrations/${id}`, { parallelism: 2, pace });
    expect(await place.inState(id, 'finished', 'failed')).toMatchObject({
      state: 'finished',
      job: { id: job },
    });
    const events = await place.events(job);
    expect(events.filter(({ event }) => event === 'started')).toHaveLength(1);
    expect(events.find(({ body }) => body.event === 'control')?.body.message).toContain('2 ranges at once');
    expect(await changed('faster')).toBe(20_000);
  });

  test('a pause before it has begun holds, and so does one right after another request', async () => {
    await make('held', 100);
    const idle = await openDataMigrationPlace();
    try {
      await sql(
        idle.orders.url,
        'create table held (id int primary key, balance int); insert into held values (1, 1)',
      );
      const { id } = await idle.ask(add('held'));
      await idle.call('POST', `/api/data-migrations/${id}/pause`);
      await idle.work();
      await idle.inState(id, 'paused');
      expect(await sql(idle.orders.url, 'select * from held')).toEqual([{ id: 1, balance: 1 }]);
      const headers = { 'idempotency-key': 'go-on' };
      const resumed = await idle.call('POST', `/api/data-migrations/${id}/resume`, undefined, headers);
      expect(resumed.status).toBe(202);
      expect(await idle.call('POST', `/api/data-migrations/${id}/resume`, undefined, headers)).toMatchObject({
        ...{ status: 202, body: { id } },
      });
      await idle.inState(id, 'finished');
      expect(await sql(idle.orders.url, 'select * from held')).toEqual([{ id: 1, balance: 2 }]);
    } finally {
      await idle.close();
    }
  });

  test('is cancelled while it runs, and while it is paused: its batches stand, its table is free', async () => {
    await make('ended', 1_000);
    const first = await place.ask(add('ended', slow));
    await waitFor(async () => Number((await place.shown(first.id)).progress?.scanned) > 0, {
      what: 'a batch',
    });
    expect((await place.call('POST', `/api/data-migrations/${first.id}/cancel`)).status).toBe(202);
    const ended = await place.inState(first.id, 'cancelled');
    await waitFor(async () => (await place.shown(first.id)).job.state === 'cancelled', { what: 'the job' });
    expect(ended).toMatchObject({ cancelRequestedBy: 'tests', endedAt: expect.any(String) as string });
    const stands = await changed('ended');
    expect(Number(stands)).toBeLessThan(1_000);
    expect(await triggersOf('ended')).toBe(0);

    const second = await place.ask(add('ended', { ...slow, where: 'balance = id' }));
    await waitFor(async () => Number((await place.shown(second.id)).progress?.scanned) > 0, {
      what: 'a batch',
    });
    await place.call('POST', `/api/data-migrations/${second.id}/pause`);
    await place.inState(second.id, 'paused');
    expect(await triggersOf('ended')).toBe(2);
    await place.call('POST', `/api/data-migrations/${second.id}/cancel`);
    await place.inState(second.id, 'cancelled');
    expect(await triggersOf('ended')).toBe(0);
    // Once more is no fault, and nothing can be gone on with.
    expect(await place.call('POST', `/api/data-migrations/${second.id}/cancel`)).toMatchObject({
      status: 202,
    });
    expect(await place.call('POST', `/api/data-migrations/${second.id}/resume`)).toMatchObject({
      ...{ status: 409, body: { code: 'DATA_MIGRATION_ENDED' } },
    });
  });

  test('is cancelled while it still waits for its table', async () => {
    await make('locked', 10);
    await withClient(place.orders.url, async (client) => {
      await client.query('begin; lock table locked in row exclusive mode');
      const { id } = await place.ask(add('locked'));
      await waitFor(async () => (await place.shown(id)).state === 'running', { what: 'the worker' });
      await place.call('POST', `/api/data-migrations/${id}/cancel`);
      await place.inState(id, 'cancelled');
      await client.query('commit');
    });
    expect(await triggersOf('locked')).toBe(0);
  });

  test('whose job is cancelled stands where it is, and is gone on with by another job', async () => {
    await make('stopped', 600);
    const { id, job } = await place.ask(add('stopped', slow));
    await waitFor(async () => Number((await place.shown(id)).progress?.scanned) > 0, { what: 'a batch' });
    await place.call('POST', `/api/jobs/${job}/cancel`);
    await place.inState(id, 'paused');
    await place.call('PATCH', `/api/data-migrations/${id}`, { pace: { rowsPerSecond: null } });
    const resumed = await place.call('POST', `/api/data-migrations/${id}/resume`);
    expect(resumed.headers.get('location')).not.toBe(`/api/jobs/${job}`);
    await place.inState(id, 'finished');
    expect(await changed('stopped')).toBe(600);
  });

  test('bad rows are listed, mended and tried again', async () => {
    await orders(
      "create table texts (id int primary key, amount text, cents int); insert into texts select n, case when n in (17, 80) then 'x' || n else n::text end, null from generate_series(1, 100) n",
    );
    const spec = {
      kind: 'backfill',
      table: 'texts',
      set: { cents: 'amount::int * 100' },
      where: 'cents is null',
    };
    const { id } = await place.ask({ ...spec, toleratedRows: 5 });
    expect(await place.inState(id, 'finished', 'failed')).toMatchObject({
      ...{ state: 'finished', progress: { scanned: 100, quarantined: 2 } },
      validation: { passed: true, quarantined: 2 },
    });
    const url = `/api/data-migrations/${id}/quarantine`;
    const page = (await place.call('GET', `${url}?limit=1`)).body as unknown as Page;
    expect(page.items).toMatchObject([{ key: ['17'], state: 'open', error: { code: 'STATEMENT_FAILED' } }]);
    const rest = (await place.call('GET', `${url}?limit=1&cursor=${page.nextCursor}`))
      .body as unknown as Page;
    expect(rest).toMatchObject({ items: [{ key: ['80'] }], nextCursor: null });

    const [row] = page.items;
    const mended = await place.call('PATCH', `${url}/${row?.id}`, { set: { amount: '17' } });
    expect(mended).toMatchObject({ status: 200, body: { key: ['17'], state: 'open' } });
    const retried = await place.call('POST', `${url}/retry`, {});
    expect(retried).toMatchObject({ status: 202, body: { id } });
    const { job } = retried.body as { job: { id: string } };
    await place.events(job.id);
    expect((await place.call('GET', `/api/jobs/${job.id}/result`)).body.result).toEqual({
      mended: 1,
      open: 1,
    });
    expect((await place.call('GET', url)).body.items).toMatchObject([
      { key: ['17'], state: 'mended' },
      { key: ['80'], state: 'open', tries: 2 },
    ]);
    expect(await orders('select cents from texts where id in (17, 80) order by id')).toEqual([
      { cents: 1_700 },
      { cents: null },
    ]);
    expect((await place.shown(id)).progress).toMatchObject({ quarantined: 1 });

    expect(await place.call('PATCH', `${url}/${row?.id}`, { set: { amount: '18' } })).toMatchObject({
      ...{ status: 404, body: { code: 'QUARANTINED_ROW_NOT_FOUND' } },
    });
    expect(await place.call('PATCH', `${url}/${rest.items[0]?.id}`, { set: { id: 'x' } })).toMatchObject({
      ...{ status: 422, body: { code: 'MAPPING_INVALID' } },
    });
  });

  test('one row at fault too many stops it; mended and resumed, it goes on', async () => {
    await orders(
      "create table few (id int primary key, amount text, cents int); insert into few select n, case n when 30 then 'thirty' else n::text end, null from generate_series(1, 60) n",
    );
    const { id, job } = await place.ask({ kind: 'backfill', table: 'few', set: { cents: 'amount::int' } });
    expect(await place.inState(id, 'failed', 'finished')).toMatchObject({
      job: { id: job, state: 'failed', error: { code: 'ROWS_AT_FAULT', details: { tolerated: 0 } } },
    });
    const alerts = (await place.call('GET', '/api/alerts')).body.items as {
      condition: string;
      jobId: string;
    }[];
    expect(alerts.find(({ jobId }) => jobId === job)).toMatchObject({ condition: 'job-failed' });
    await orders("update few set amount = '30' where id = 30");
    await place.call('POST', `/api/data-migrations/${id}/resume`);
    expect(await place.inState(id, 'finished', 'failed')).toMatchObject({ state: 'finished' });
    expect(await value(place.orders.url, 'select sum(cents)::int from few')).toBe(1_830);
  });

  test('another one on the same table is refused; nothing else of the database is', async () => {
    await make('taken', 500);
    await make('free', 10);
    const first = await place.ask(add('taken', slow));
    await waitFor(async () => Number((await place.shown(first.id)).progress?.scanned) > 0, {
      what: 'a batch',
    });
    const second = await place.ask(add('taken'));
    const beside = await place.ask(add('free'));
    expect(await place.inState(second.id, 'failed', 'finished')).toMatchObject({
      job: { error: { code: 'TABLE_BUSY', details: { other: first.id } } },
    });
    await place.inState(beside.id, 'finished');
    const metrics = await place.text('/metrics');
    const labels = `database="orders",id="${first.id}",name="test"`;
    expect(metrics).toMatch(new RegExp(`switchback_data_migration_rows\\{${labels},rows="total"\\} \\d+`));
    expect(metrics).toMatch(new RegExp(`switchback_data_migration_rows\\{${labels},rows="changed"\\} [1-9]`));
    const job = await place.switchback.deps.control.prisma.job.findUniqueOrThrow({
      where: { id: first.job },
    });
    expect(job).toMatchObject({ state: 'running', exclusive: false });
    await place.call('POST', `/api/data-migrations/${first.id}/cancel`);
    await place.inState(first.id, 'cancelled');
  });

  test('a dry run tells the plan and an estimate, and leaves nothing', async () => {
    await make('tried', 50);
    const { job } = await place.ask(add('tried'), { dryRun: true });
    await place.events(job);
    expect((await place.call('GET', `/api/jobs/${job}/result`)).body.result).toMatchObject({
      ...{ key: ['id'], batch: { scanned: 50, changed: 50 } },
      plan: expect.arrayContaining([expect.stringContaining('Update on tried')]) as string[],
    });
    expect(await changed('tried')).toBe(0);
    expect(await triggersOf('tried')).toBe(0);
    expect((await place.call('GET', `/api/data-migrations/${job}`)).body.code).toBe(
      'DATA_MIGRATION_NOT_FOUND',
    );
  });
});

interface Page {
  readonly items: readonly { readonly id: string }[];
  readonly nextCursor: string | null;
}

const triggersOf = (table: string): Promise<unknown> =>
  value(
    place.orders.url,
    `select count(*)::int from pg_trigger where tgrelid = '${table}'::regclass and not tgisinternal`,
  );
