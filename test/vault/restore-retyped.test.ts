/** Columns that a migration gave another type: what it cut off comes back whole, what was written since stays. */
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Session } from '../../src/db/session.ts';
import { loadParser } from '../../src/sql/parse.ts';
import { deploy, rollBack } from '../migrations/deploy.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';
import { open, texts } from './harness.ts';

let database: TestDatabase;
let session: Session;
beforeAll(loadParser);
beforeEach(async () => {
  database = await createDatabase();
  session = await open(database.url);
});
afterEach(async () => {
  await session.close();
  await database.drop();
});

/** Deploys a change of `a`, lets the application write, and takes the change back. */
async function thereAndBack(table: string, change: string, since: string, back: string) {
  const seed = { '0_seed': table };
  await deploy(database.url, seed);
  await deploy(database.url, { ...seed, '1_change': change }, { vault: {} });
  if (since !== '') await session.query(since);
  const [outcome] = await rollBack(database.url, { '1_change': back });
  return outcome?.restored.map(({ restored, conflicts }) => ({ restored, conflicts }));
}

const cut: readonly [from: string, to: string, value: string, other: string, using?: string][] = [
  ['text', 'varchar(2)', "'abc'", "'zz'", 'left(n, 2)'],
  ['timestamptz', 'date', "'2024-03-31 10:00Z'", "'2020-01-01'"],
  ['numeric(10,4)', 'numeric(10,2)', '1.2345', '9'],
  ['float8', 'float4', '0.123456789012', '9'],
  ['text', 'int', "'abc'", "'77'", 'length(n)'],
  ['timestamp(3)', 'timestamp(0)', "'2024-03-31 10:00:00.123'", "'2020-01-01'"],
];
const keys: readonly [string, string][] = [
  ['with a key', 'id int primary key'],
  ['without one', 'id int'],
];

test.each(keys.flatMap(([of, key]) => cut.map((one) => [of, ...one, key] as const)))(
  'rows %s: %s that became %s',
  async (_, from, to, value, other, ...rest) => {
    const key = rest.at(-1);
    const using = rest.length > 1 ? ` using ${rest[0]}` : '';
    const outcome = await thereAndBack(
      `create table a (${key}, n ${from}); insert into a values (1, ${value}), (2, ${value}), (3, null)`,
      `alter table a alter column n type ${to}${using}`,
      `update a set n = ${other} where id = 2; insert into a values (4, ${other})`,
      `alter table a alter column n type ${from} using n::${from}`,
    );
    expect(outcome).toEqual([{ restored: 1, conflicts: { changedSince: 1 } }]);
    expect(await texts(session, `select id, n = ${value} as whole, n = ${other} as other from a`)).toEqual([
      '(1,t,f)',
      '(2,f,t)',
      '(3,,)',
      '(4,f,t)',
    ]);
  },
);

test.each(keys)('a value that the old type does not take is kept, in rows %s', async (_, key) => {
  const outcome = await thereAndBack(
    `create table a (${key}, n int); insert into a values (1, 5), (2, 6), (3, 7)`,
    'alter table a alter column n type text',
    "update a set n = 'junk' where id = 1; update a set n = '60' where id = 2; insert into a values (4, 'more')",
    "alter table a alter column n type int using case when n ~ '^[0-9]+$' then n::int end",
  );
  expect(outcome).toEqual([{ restored: 0, conflicts: { changedSince: 2 } }]);
  expect(await texts(session, 'select * from a')).toEqual(['(1,)', '(2,60)', '(3,7)', '(4,)']);
});

test('the time zone of the database is that of both conversions', async () => {
  await session.query(
    `do $$ begin execute format('alter database %I set timezone = ''Asia/Kolkata''', current_database()); end $$`,
  );
  const outcome = await thereAndBack(
    "create table a (id int primary key, n timestamptz); insert into a values (1, '2024-03-31 10:00:00.123456Z'), (2, '2024-03-31 12:00Z')",
    'alter table a alter column n type timestamp(0)',
    "update a set n = '2020-01-01' where id = 2",
    'alter table a alter column n type timestamptz',
  );
  expect(outcome).toEqual([{ restored: 1, conflicts: { changedSince: 1 } }]);
  expect(await texts(session, "select id, n at time zone 'UTC' from a")).toEqual([
    '(1,"2024-03-31 10:00:00.123456")',
    '(2,"2019-12-31 18:30:00")',
  ]);
});

test('rows that nothing but their old values told apart', async () => {
  const table =
    "create table a (k text, n text); insert into a values ('k', 'abc'), ('k', 'zz'), ('k', 'xyz'), ('l', 'ab'), ('l', 'ab')";
  const change = 'alter table a alter column n type int using length(n)';
  const back = 'alter table a alter column n type text';
  expect(
    await thereAndBack(
      table,
      change,
      "update a set n = 77 where k = 'k' and n = 2; update a set n = 5 where ctid = (select min(ctid) from a where k = 'l')",
      back,
    ),
  ).toEqual([{ restored: 1, conflicts: { changedSince: 4 } }]);
  expect(await texts(session, 'select * from a')).toEqual(['(k,3)', '(k,3)', '(k,77)', '(l,5)', '(l,ab)']);
});
