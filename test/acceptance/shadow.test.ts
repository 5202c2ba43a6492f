/** A table in another form, asked for and undone over HTTP. */
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { sql, value } from '../data-migrations/migrate.ts';
import { type DataMigrationPlace, openDataMigrationPlace } from './data-migration-place.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

let place: DataMigrationPlace;
beforeAll(async () => {
  place = await openDataMigrationPlace();
  await place.work();
});
afterAll(() => place.close());

const ended = async (job: string): Promise<{ event: string; body: Record<string, unknown> }[]> => [
  ...(await place.events(job)),
];

test('a table is exchanged for its new form and gets the old one back', async () => {
  await sql(
    place.orders.url,
    'create table customer (id int primary key, name text); insert into customer select n, n from generate_series(1, 500) n',
  );
  const type = (): Promise<unknown> =>
    value(place.orders.url, 'select pg_typeof(max(id))::text from customer');
  const spec = {
    name: 'customer-bigint',
    kind: 'shadow',
    table: 'customer',
    alter: 'alter column id type bigint',
  };
  const created = await place.call('POST', '/api/data-migrations', {
    database: 'orders',
    spec,
    flag: 'big-customers',
  });
  expect(created.status).toBe(202);
  const { id, job } = created.body as { id: string; job: { id: string } };
  const events = await ended(job.id);
  expect(events.at(-1)).toMatchObject({ event: 'succeeded' });
  expect(events.map(({ body }) => body.message)).toContainEqual(
    expect.stringMatching(/^public\.customer is the other one of the two tables, in \d+ ms$/),
  );
  expect(await place.shown(id)).toMatchObject({
    state: 'finished',
    validation: { passed: true, by: 'comparison' },
  });
  expect(await type()).toBe('bigint');
  const flag = async (): Promise<unknown> => {
    const { items } = (await place.call('GET', '/api/flags?database=orders')).body as {
      items: { key: string; state: string }[];
    };
    return items.find(({ key }) => key === 'big-customers')?.state;
  };
  expect(await flag()).toBe('on');
  await sql(
    place.orders.url,
    "insert into customer values (1000, 'later'); delete from customer where id = 1",
  );

  const undone = await place.call('POST', `/api/data-migrations/${id}/undo`);
  expect(undone).toMatchObject({ status: 202, body: { id } });
  const { job: second } = undone.body as { job: { id: string } };
  expect((await ended(second.id)).at(-1)).toMatchObject({ event: 'succeeded' });
  expect(await type()).toBe('integer');
  expect(await value(place.orders.url, 'select count(*)::int from customer')).toBe(500);
  expect(await place.shown(id)).toMatchObject({ state: 'cancelled' });
  expect(await flag()).toBe('off');
});

test('what swaps no tables cannot be undone', async () => {
  await sql(
    place.orders.url,
    'create table plain (id int primary key, n int); insert into plain values (1, 1)',
  );
  const { id } = await place.ask({ kind: 'backfill', table: 'plain', set: { n: '2' } });
  await place.inState(id, 'finished');
  expect(await place.call('POST', `/api/data-migrations/${id}/undo`)).toMatchObject({
    status: 409,
    body: { code: 'SWAP_NOT_UNDOABLE' },
  });
});
