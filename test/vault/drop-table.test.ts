import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Session } from '../../src/db/session.ts';
import { listVault } from '../../src/vault/list.ts';
import { availableMajors, startServer, type TestDatabase, type TestServer } from '../support/postgres.ts';
import { drop, dropTables, migrate, objects, open, texts } from './harness.ts';

const schema = `
  create type state as enum ('new', 'paid');
  create domain mail as text check (value like '%@%');
  create schema "Weird Schema";
  create function touch() returns trigger language plpgsql as 'begin return new; end';
  create table customers (id int primary key generated always as identity, mail mail not null unique);
  create table orders (
    id bigserial primary key, customer int references customers on delete cascade, parent bigint references orders,
    state state not null default 'new', states state[], total numeric(10,2), twice numeric generated always as (total * 2) stored,
    at timestamptz default now(), check (total >= 0));
  create index on orders (customer) where state = 'new';
  create statistics order_stats on customer, parent from orders;
  create trigger touch before update on orders for each row execute function touch();
  create rule no_delete as on delete to orders do instead nothing;
  alter table orders enable row level security;
  alter table orders force row level security;
  create policy mine on orders using (customer > 0);
  create table lines (order_id bigint references orders on delete cascade, nr int, primary key (order_id, nr));
  create publication pub for table orders, customers;
  create view open_orders as select id, state from orders where state = 'new';
  create materialized view totals as select o.state, sum(total) as total from orders o join open_orders using (id) group by 1;
  create index on totals (state);
  create function order_label(o orders) returns text language sql as 'select o.id::text';
  create table label (id int, kept orders);
  grant select on orders to public;
  grant update (total) on orders to pg_monitor;
  insert into customers (mail) select 'a' || n || '@x' from generate_series(1, 3) n;
  insert into orders (customer, parent, state, states, total) select n, null, 'new', '{new,paid}', n * 1.5 from generate_series(1, 3) n;
  insert into lines select id, 1 from orders;
  insert into label select id, orders from orders;`;

describe.each(availableMajors.filter((major) => [15, 18].includes(major)))('PostgreSQL %i', (major) => {
  let server: TestServer;
  let database: TestDatabase;
  let session: Session;
  beforeAll(async () => {
    server = await startServer(major);
  });
  afterAll(() => server.stop('immediate'));
  beforeEach(async () => {
    database = await server.createDatabase();
    session = await open(database.url);
  });
  afterEach(async () => {
    await session.close();
    await database.drop();
  });

  /** What PostgreSQL's own statement leaves, and what ours does. */
  async function compare(sql: string, before = schema): Promise<void> {
    const other = await server.createDatabase();
    const plain = await open(other.url);
    try {
      await plain.query(before);
      await plain.query(sql);
      await session.query(before);
      await migrate(session, [/^\s*drop table/i.test(sql) ? dropTables(sql) : drop(sql)]);
      expect(await objects(session)).toEqual(await objects(plain));
      expect((await listVault(session)).map(({ facts }) => facts.copiedBecause).filter(Boolean)).toEqual([]);
    } finally {
      await plain.close();
      await other.drop();
    }
  }

  test.each([
    'drop table lines',
    'drop table label, lines',
    'drop table orders cascade',
    'drop table orders, lines, label cascade',
    'drop table customers cascade',
    'drop schema public cascade',
    'drop type state cascade',
    'drop domain mail cascade',
    'drop table if exists nothing, lines',
  ])('%s leaves what PostgreSQL leaves', (sql) => compare(sql));

  test('the table is moved, and its rows are all there', async () => {
    await session.query(schema);
    const [id] = await migrate(session, [dropTables('drop table orders cascade')]);
    const entries = await listVault(session);
    const entry = entries.find(({ kind }) => kind === 'table');
    expect(entry).toMatchObject({
      kind: 'table',
      schema: 'public',
      table: 'orders',
      state: 'kept',
      keyColumns: ['id'],
    });
    expect(entry?.facts.copiedBecause).toBeUndefined();
    expect(id).toBeDefined();
    expect(
      await texts(session, `select id, state, states, total, twice from switchback_vault.${entry?.relation}`),
    ).toEqual([
      '(1,new,"{new,paid}",1.50,3.00)',
      '(2,new,"{new,paid}",3.00,6.00)',
      '(3,new,"{new,paid}",4.50,9.00)',
    ]);
    // The row type's column that CASCADE took.
    expect(entries.filter(({ kind }) => kind === 'column')).toMatchObject([
      { table: 'label', columns: ['kept'], rows: 3 },
    ]);
  });
});
