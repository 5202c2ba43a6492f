/** A table gets another form by a copy that takes its place, while an application writes; and gets the old one back. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { undoSwap } from '../../../src/data-migrations/shadow/undo.ts';
import { createDatabase, type TestDatabase } from '../../support/postgres.ts';
import { sql, value } from '../migrate.ts';
import { atPlace, exchange, factsOf, swapOf } from './tables.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

const run = (text: string): Promise<Record<string, unknown>[]> => sql(database.url, text);

const shop = `
  create table customer (id serial primary key, mail text not null unique, balance int not null default 0 check (balance > -1000000));
  create table invoice (id bigint generated always as identity primary key, customer_id int not null references customer on delete cascade, cents int not null);
  create index customer_balance on customer (balance) where balance > 0;
  create view rich as select id, mail from customer where balance > 50;
  insert into customer (mail, balance) select n || '@example.org', n from generate_series(1, 5000) n;
  insert into invoice (customer_id, cents) select n, n from generate_series(1, 5000) n`;

test('the primary key of a table becomes a bigint, and an int again', async () => {
  await run(shop);
  const before = await factsOf(database.url);
  const id = randomUUID();
  await exchange(
    database.url,
    { table: 'customer', alter: 'alter column id type bigint', pace: { maxRows: 500 } },
    { id },
  );
  expect(
    await run("insert into customer (mail) values ('new') returning id, pg_typeof(id)::text as type"),
  ).toEqual([{ id: '5001', type: 'bigint' }]);
  expect(await value(database.url, 'select pg_typeof(id)::text from rich limit 1')).toBe('bigint');
  await run('delete from customer where id = 7; update customer set balance = 8000 where id = 8');
  expect(await value(database.url, 'select count(*)::int from invoice where customer_id = 7')).toBe(0);
  await atPlace(database.url, (session) => undoSwap(session, swapOf(id)));
  expect(await factsOf(database.url)).toEqual(before);
  expect(
    await run(
      'select count(*)::int as rows, sum(balance)::int as sum, pg_typeof(max(id))::text as type from customer',
    ),
  ).toEqual([{ rows: 5_000, sum: (5_000 * 5_001) / 2 - 7 - 8 + 8_000, type: 'integer' }]);
});
