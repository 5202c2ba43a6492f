/** A table gets another form by a copy that takes its place, while an application writes; and gets the old one back. */
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { dumpArguments } from '../../../src/backups/create.ts';
import { programDirectories } from '../../../src/config.ts';
import { undoSwap } from '../../../src/data-migrations/shadow/undo.ts';
import { findPrograms } from '../../../src/db/programs.ts';
import { parseTarget } from '../../../src/db/target.ts';
import { createDatabase, onShared, type TestDatabase } from '../../support/postgres.ts';
import { sql, value } from '../migrate.ts';
import { atPlace, exchange, factsOf, swapOf } from './tables.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

const run = (text: string): Promise<Record<string, unknown>[]> => sql(database.url, text);

/** Several foreign keys, a view, a sequence. */
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

test('the role needs no more than to own the table, and CREATE on the database', async () => {
  const role = `owner_${randomUUID().replaceAll('-', '')}`;
  const own = await createDatabase();
  await sql(
    own.url,
    `create role ${role} login password 'x'; create role ${role}_app; grant create on database ${own.name} to ${role}; grant all on schema public to ${role}`,
  );
  try {
    const url = new URL(own.url);
    Object.assign(url, { username: role, password: 'x' });
    await sql(
      url.href,
      `${shop}; alter table customer enable row level security; create policy all_of_it on customer using (true); grant all on customer to ${role}_app`,
    );
    const before = await factsOf(own.url);
    const id = randomUUID();
    await exchange(url.href, { table: 'customer', alter: 'alter column id type bigint' }, { id });
    // The application is another role: the triggers write as the one that made them.
    await sql(
      own.url,
      `set role ${role}_app; update customer set balance = 1 where id = 1; delete from customer where id = 2`,
    );
    await atPlace(url.href, (session) => undoSwap(session, swapOf(id)));
    expect(await factsOf(own.url)).toEqual(before);
    expect(
      await sql(own.url, 'select count(*)::int as rows, sum(balance)::int as sum from customer'),
    ).toEqual([{ rows: 4_999, sum: (5_000 * 5_001) / 2 - 2 }]);
  } finally {
    await own.drop();
    await onShared((client) => client.query(`drop role ${role}, ${role}_app`));
  }
});

test('in a database that was restored from a backup the swap can be undone, too', async () => {
  const [one, restored] = [await createDatabase(), await createDatabase()];
  try {
    await sql(one.url, shop);
    const before = await factsOf(one.url);
    const id = randomUUID();
    await exchange(one.url, { table: 'customer', alter: 'alter column id type bigint' }, { id });
    const { directory } = await findPrograms({ searchPath: programDirectories() }, 15);
    const dump = execFileSync(`${directory}/pg_dump`, dumpArguments(10), {
      env: { ...parseTarget(one.url).libpqEnvironment },
    });
    // Oids are others there: the tables are not those of the same numbers.
    await sql(restored.url, 'create table other (id int primary key)');
    execFileSync(`${directory}/pg_restore`, ['--exit-on-error', `--dbname=${restored.name}`], {
      env: { ...parseTarget(restored.url).libpqEnvironment },
      input: dump,
    });
    await sql(restored.url, 'drop table other; update customer set balance = 8000 where id = 8');
    await atPlace(restored.url, (session) => undoSwap(session, swapOf(id)));
    expect(await factsOf(restored.url)).toEqual(before);
    expect(await value(restored.url, 'select sum(balance)::int from customer')).toBe(
      (5_000 * 5_001) / 2 - 8 + 8_000,
    );
  } finally {
    await one.drop();
    await restored.drop();
  }
});
