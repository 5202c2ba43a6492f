/** A migration that requires a data migration: the deployment stops before it until that one's validation has passed. */
import { gzipSync } from 'node:zlib';
import { pack } from 'tar-stream';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { storeBundle } from '../../src/jobs/deployments/store-bundle.ts';
import { enqueue } from '../../src/jobs/enqueue.ts';
import { deployment } from '../../src/jobs/kinds/deployment.ts';
import { sql, value } from '../data-migrations/migrate.ts';
import { waitFor } from '../support/wait.ts';
import { type DataMigrationPlace, openDataMigrationPlace } from './data-migration-place.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

let place: DataMigrationPlace;
beforeEach(async () => {
  place = await openDataMigrationPlace(
    {},
    {
      bundles: 'upload',
      rehearsal: { never: 'tested elsewhere' },
      onFailure: 'rollBack',
    },
  );
  await place.work();
});
afterEach(() => place.close());

/** Expand, fill, contract. */
async function bundle(table: string): Promise<string> {
  const files = {
    'migration_lock.toml': 'provider = "postgresql"\n',
    [`1_${table}/migration.sql`]: `create table ${table} (id int primary key, first text not null);`,
    [`2_${table}_expand/migration.sql`]: `alter table ${table} add column full_name text;`,
    [`2_${table}_expand/data-migrations/${table}-names.json`]: JSON.stringify({
      ...{ kind: 'backfill', table, set: { full_name: "first || ' Smith'" }, where: 'full_name is null' },
    }),
    [`3_${table}_contract/migration.sql`]: `comment on column ${table}.full_name is 'filled';`,
    [`3_${table}_contract/migration.json`]: JSON.stringify({ requires: [`${table}-names`] }),
    [`4_${table}_more/migration.sql`]: `comment on table ${table} is 'done';`,
  };
  const tar = pack();
  for (const [name, content] of Object.entries(files)) tar.entry({ name }, content);
  tar.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of tar as AsyncIterable<Buffer>) chunks.push(chunk);
  return (await storeBundle(place.switchback.deps.control, gzipSync(Buffer.concat(chunks)), 'tests')).id;
}

interface Finished {
  readonly state: string;
  readonly error: { readonly code: string; readonly detail: string; readonly details: object } | null;
}

const finished = (job: string): Promise<Finished> =>
  waitFor(async () => (await place.call('GET', `/api/jobs/${job}`)).body as unknown as Finished, {
    ...{ until: ({ state }) => state === 'succeeded' || state === 'failed', timeoutMs: 60_000 },
  });

async function deploy(id: string): Promise<{ readonly job: Finished; readonly record: string }> {
  const { body } = await place.call('POST', '/api/deployments', { database: 'orders', bundle: id });
  return { job: await finished((body.job as { id: string }).id), record: String(body.id) };
}

const applied = (table: string): Promise<unknown> =>
  value(
    place.orders.url,
    `select string_agg(migration_name, ' ' order by migration_name) from _prisma_migrations where migration_name like '%${table}%' and finished_at is not null and rolled_back_at is null`,
  );

test('the deployment stops before it, what was applied stands, and the next one goes on', async () => {
  const id = await bundle('people');
  const first = await deploy(id);
  expect(first.job).toMatchObject({
    state: 'failed',
    error: {
      code: 'DATA_MIGRATION_REQUIRED',
      detail: expect.stringContaining(
        `POST /api/data-migrations {"database":"orders","bundle":"${id}","name":"people-names"}`,
      ),
    },
  });
  expect(await applied('people')).toBe('1_people 2_people_expand');
  const { body: record } = await place.call('GET', `/api/deployments/${first.record}`);
  expect(record).toMatchObject({
    report: {
      outcome: 'stopped',
      rollback: null,
      migrations: [
        { name: '1_people', outcome: 'applied' },
        { name: '2_people_expand', outcome: 'applied' },
      ],
    },
    plan: {
      held: {
        migration: '3_people_contract',
        after: ['4_people_more'],
        waitsFor: [{ name: 'people-names', dataMigration: null, state: null }],
      },
    },
  });

  // Nothing has changed, and nothing is done.
  const second = await deploy(id);
  expect(second.job.error).toMatchObject({
    code: 'DATA_MIGRATION_REQUIRED',
    detail: expect.stringContaining('Nothing was applied'),
  });

  await sql(place.orders.url, "insert into people select n, 'n' || n from generate_series(1, 100) n");
  const asked = await place.call('POST', '/api/data-migrations', {
    ...{ database: 'orders', bundle: id, name: 'people-names' },
  });
  expect(asked.status).toBe(202);
  await place.inState(String(asked.body.id), 'finished');
  expect((await deploy(id)).job).toMatchObject({ state: 'succeeded', error: null });
  expect(await applied('people')).toBe('1_people 2_people_expand 3_people_contract 4_people_more');
  expect(
    await value(place.orders.url, "select count(*)::int from people where full_name = first || ' Smith'"),
  ).toBe(100);
});

test('one that runs still, or has failed, is not enough; the message says which and what to do', async () => {
  const id = await bundle('slow');
  await deploy(id);
  await sql(place.orders.url, "insert into slow select n, 'n' || n from generate_series(1, 50) n");
  const start = { database: 'orders', bundle: id, name: 'slow-names' };
  await sql(place.orders.url, "alter table slow add check (full_name <> 'n50 Smith')");
  const asked = await place.call('POST', '/api/data-migrations', start);
  const dataMigration = String(asked.body.id);
  await place.inState(dataMigration, 'failed');
  expect((await deploy(id)).job.error?.detail).toContain(`POST /api/data-migrations/${dataMigration}/resume`);
  expect(await applied('slow')).toBe('1_slow 2_slow_expand');
});

test('it can be allowed by name with a reason', async () => {
  const id = await bundle('fresh');
  const allow = [{ code: 'DATA_MIGRATION_REQUIRED', reason: 'the table is empty' }];
  const { deps } = place.switchback;
  const { jobId } = await enqueue(deps, {
    ...{ kind: deployment, database: 'orders', payload: { bundle: id, allow }, requestedBy: 'tests' },
  });
  expect(await finished(jobId)).toMatchObject({ state: 'succeeded' });
  expect(await applied('fresh')).toBe('1_fresh 2_fresh_expand 3_fresh_contract 4_fresh_more');
});

test('what is asked for by name has to be there, and is either given or named', async () => {
  const id = await bundle('named');
  const ask = (body: object) => place.call('POST', '/api/data-migrations', { database: 'orders', ...body });
  expect(await ask({ bundle: id, name: 'nothing' })).toMatchObject({
    status: 404,
    body: { code: 'DATA_MIGRATION_NOT_FOUND' },
  });
  expect(await ask({ bundle: id })).toMatchObject({ status: 400, body: { code: 'VALIDATION_FAILED' } });
  expect(await ask({})).toMatchObject({ status: 400 });
  const spec = { name: 'x', kind: 'backfill', table: 'x', set: { a: '1' } };
  expect(await ask({ name: 'named-names', spec })).toMatchObject({ status: 400 });
  const { body } = await place.call('GET', `/api/bundles/${id}`);
  expect(body.dataMigrations).toEqual([
    { name: 'named-names', migration: '2_named_expand', kind: 'backfill', table: 'named' },
  ]);
});
