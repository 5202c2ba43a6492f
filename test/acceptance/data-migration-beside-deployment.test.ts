/** Deployments and data migrations: beside each other on different tables, never on the same one. */
import { gzipSync } from 'node:zlib';
import { pack } from 'tar-stream';
import { afterEach, expect, test, vi } from 'vitest';
import { storeBundle } from '../../src/jobs/deployments/store-bundle.ts';
import { sql, value, withClient } from '../data-migrations/migrate.ts';
import { waitFor } from '../support/wait.ts';
import { type DataMigrationPlace, openDataMigrationPlace } from './data-migration-place.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

let place: DataMigrationPlace;
afterEach(() => place.close());

const base = {
  '1_base':
    'create table people (id int primary key, n int); create table other (id int primary key, n int);',
};

async function open(policy: object = {}): Promise<void> {
  place = await openDataMigrationPlace(
    {},
    {
      bundles: 'upload',
      rehearsal: { never: 'tested elsewhere' },
      ...policy,
    },
  );
  await place.work();
  expect(await deploy({})).toMatchObject({ state: 'succeeded' });
  for (const table of ['people', 'other'])
    await sql(place.orders.url, `insert into ${table} select n from generate_series(1, 200) n`);
}

interface Finished {
  readonly state: string;
  readonly result: Record<string, unknown> | null;
  readonly error: { readonly code: string; readonly detail: string } | null;
}

const finished = (job: string): Promise<Finished> =>
  waitFor(async () => (await place.call('GET', `/api/jobs/${job}`)).body as unknown as Finished, {
    ...{ until: ({ state }) => state === 'succeeded' || state === 'failed', timeoutMs: 60_000 },
  });

async function start(
  migrations: Record<string, string>,
): Promise<{ readonly job: string; readonly record: string }> {
  const tar = pack();
  tar.entry({ name: 'migration_lock.toml' }, 'provider = "postgresql"\n');
  for (const [name, text] of Object.entries({ ...base, ...migrations }))
    tar.entry({ name: `${name}/migration.sql` }, text);
  tar.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of tar as AsyncIterable<Buffer>) chunks.push(chunk);
  const { id } = await storeBundle(place.switchback.deps.control, gzipSync(Buffer.concat(chunks)), 'tests');
  const { body } = await place.call('POST', '/api/deployments', { database: 'orders', bundle: id });
  return { job: (body.job as { id: string }).id, record: String(body.id) };
}

const deploy = async (migrations: Record<string, string>): Promise<Finished> =>
  finished((await start(migrations)).job);

/** One that lasts until it is told to hurry. */
async function slow(table: string): Promise<string> {
  const { id } = await place.ask({
    ...{ name: `fill-${table}`, kind: 'backfill', table, set: { n: 'id' } },
    pace: { maxRows: 5, rowsPerSecond: 20 },
  });
  await waitFor(async () => Number((await place.shown(id)).progress?.scanned) > 0, { what: 'a batch' });
  return id;
}

const hurry = (id: string) =>
  place.call('PATCH', `/api/data-migrations/${id}`, { pace: { rowsPerSecond: null } });

test('a deployment that touches the table is refused, one that does not runs beside it', async () => {
  await open();
  const id = await slow('people');
  const onPeople = { '3_people': 'alter table people add column more int;' };
  const refused = await deploy(onPeople);
  expect(refused).toMatchObject({ state: 'failed', error: { code: 'TABLE_BUSY' } });
  expect(refused.error?.detail).toContain(`"fill-people" (${id}) on public.people`);
  for (const touching of [
    'create index on people (n);',
    'update people set n = 1;',
    'create table child (person int references people);',
    "do $$ begin execute 'alter table ' || current_setting('application_name'); end $$;",
  ])
    expect((await deploy({ '3_touching': touching })).error?.code).toBe('TABLE_BUSY');
  expect(
    await value(
      place.orders.url,
      "select count(*)::int from _prisma_migrations where migration_name <> '1_base'",
    ),
  ).toBe(0);

  const onOther = {
    '2_other': 'alter table other add column more int; create view seen as select * from people;',
  };
  expect(await deploy(onOther)).toMatchObject({ state: 'succeeded' });
  expect(await place.shown(id)).toMatchObject({ state: 'running' });

  // One that stands still does no harm.
  await place.call('POST', `/api/data-migrations/${id}/pause`);
  await place.inState(id, 'paused');
  expect(await deploy({ ...onOther, ...onPeople })).toMatchObject({ state: 'succeeded' });
  await hurry(id);
  await place.call('POST', `/api/data-migrations/${id}/resume`);
  expect(await place.inState(id, 'finished', 'failed')).toMatchObject({ state: 'finished' });
  expect(await value(place.orders.url, 'select count(*)::int from people where n = id')).toBe(200);
});

test('or the data migration is paused, as the policy says, and left so', async () => {
  await open({ dataMigrations: { onDeployment: 'pause' } });
  const [people, other] = [await slow('people'), await slow('other')];
  const { job, record } = await start({ '2_people': 'alter table people add column more int;' });
  expect(await finished(job)).toMatchObject({
    state: 'succeeded',
    result: { pausedDataMigrations: [people] },
  });
  const { body } = await place.call('GET', `/api/deployments/${record}`);
  expect(body).toMatchObject({
    report: {
      pausedDataMigrations: [{ id: people, name: 'fill-people', table: 'public.people' }],
      markdown: expect.stringContaining(`POST /api/data-migrations/${people}/resume`),
    },
  });
  expect(await place.shown(people)).toMatchObject({ state: 'paused' });
  expect(await place.shown(other)).toMatchObject({ state: 'running' });
  await hurry(people);
  await place.call('POST', `/api/data-migrations/${people}/resume`);
  await place.inState(people, 'finished');
});

test('a data migration that begins while a deployment is at its table is refused, and can be resumed after', async () => {
  await open();
  const body = (table: string) => ({ name: `late-${table}`, kind: 'backfill', table, set: { n: 'id' } });
  const { job } = await withClient(place.orders.url, async (holder) => {
    // The deployment waits for the lock.
    await holder.query('begin; select from people limit 1');
    const begun = await start({ '2_people': 'alter table people add column more int;' });
    await waitFor(
      () =>
        value(
          place.orders.url,
          "select count(*)::int from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and query like '%add column more%'",
        ),
      { what: 'the deployment to wait' },
    );
    const late = await place.ask(body('people'));
    expect(await place.inState(late.id, 'failed', 'finished')).toMatchObject({
      ...{ state: 'failed', job: { error: { code: 'TABLE_BUSY' } }, progress: null },
    });
    const beside = await place.ask(body('other'));
    expect(await place.inState(beside.id, 'failed', 'finished')).toMatchObject({ state: 'finished' });
    await holder.query('rollback');
    return begun;
  });
  expect(await finished(job)).toMatchObject({ state: 'succeeded' });
  const { body: listed } = await place.call('GET', '/api/data-migrations?name=late-people');
  const [{ id }] = listed.items as [{ id: string }];
  await place.call('POST', `/api/data-migrations/${id}/resume`);
  expect(await place.inState(id, 'finished')).toMatchObject({ validation: { passed: true } });
});
