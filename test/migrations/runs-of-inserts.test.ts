/** Seed data: many INSERT or UPDATE statements in a row cost no more than their rows do, and come back one by one all the same. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';
import { deploy, rollBack, rowsOf } from './deploy.ts';

let database: TestDatabase;
let url: string;
beforeEach(async () => {
  database = await createDatabase();
  url = database.url;
});
afterEach(() => database.drop());

const seed = `create table p (id int primary key, n text unique); create table c (id int primary key, p int references p);
  insert into p values (1, 'old')`;
const some = (count: number, statement: (n: number) => string): string =>
  Array.from({ length: count }, (_, index) => statement(index + 10)).join(';\n');
const children = some(150, (n) => `insert into p values (${n}, 'n${n}'); insert into c values (${n}, ${n})`);

const content = async (): Promise<unknown> => ({
  p: await rowsOf(url, 'select * from p order by id'),
  c: await rowsOf(url, 'select * from c order by id'),
});

test('a run of them is kept as one, and taken back', async () => {
  await deploy(url, { '1_seed': seed });
  const before = await content();
  const [outcome] = await deploy(url, { '1_seed': seed, '2_b': children }, { vault: {} });
  expect(outcome).toMatchObject({ kept: [expect.any(String), expect.any(String)], tries: 1 });
  expect(await rowsOf(url, 'select id from c')).toHaveLength(150);
  await rollBack(url, { '2_b': '' });
  expect(await content()).toEqual(before);
});

test('what the application has written in some of the rows stays', async () => {
  await deploy(url, { '1_seed': seed });
  await deploy(url, { '1_seed': seed, '2_b': children }, { vault: {} });
  await rowsOf(url, "update p set n = 'application' where id = 12; insert into c values (1, 11)");
  await rollBack(url, { '2_b': '' });
  expect(await content()).toEqual({
    p: [
      { id: 1, n: 'old' },
      { id: 11, n: 'n11' },
      { id: 12, n: 'application' },
    ],
    c: [{ id: 1, p: 11 }],
  });
});

test('what stands between them is kept by itself', async () => {
  await deploy(url, { '1_seed': seed });
  const before = await content();
  const sql = `insert into p values (2, 'a'); insert into p values (3, 'b'); update p set n = 'x' where id = 1;
    insert into p values (4, 'old'); insert into p values (1, 'new') on conflict (id) do update set n = excluded.n`;
  const [outcome] = await deploy(url, { '1_seed': seed, '2_b': sql }, { vault: {} });
  expect(outcome?.kept).toHaveLength(4);
  await rollBack(url, { '2_b': '' });
  expect(await content()).toEqual(before);
});

test('an error is told at the statement that has it', async () => {
  await deploy(url, { '1_seed': seed });
  await expect(
    deploy(url, { '1_seed': seed, '2_b': `${children};\ninsert into p values (1, 'again')` }, { vault: {} }),
  ).rejects.toMatchObject({ code: 'STATEMENT_FAILED', details: { line: 151, statement: 301 } });
});

test('triggers that hide what they write are found out, for all of them at once', async () => {
  const hiding = `${seed}; create table k (i int); insert into k values (0);
    create function f() returns trigger language plpgsql as $$ begin execute 'update ' || chr(107) || ' set i = i + 1'; return new; end $$;
    create trigger f after insert on p for each row execute function f()`;
  await deploy(url, { '1_seed': hiding });
  const before = await content();
  const [outcome] = await deploy(url, { '1_seed': hiding, '2_b': children }, { vault: {} });
  expect(outcome?.remarks).toEqual([expect.stringMatching(/line 1 to 150: wrote to public\.k/)]);
  expect(outcome?.kept).toHaveLength(3);
  await rollBack(url, { '2_b': '' });
  expect(await content()).toEqual(before);
  expect(await rowsOf(url, 'select i from k')).toEqual([{ i: 0 }]);
});

test('of one that cannot be kept, the others are', async () => {
  const foreign = `${seed}; create foreign data wrapper w; create server s foreign data wrapper w; create foreign table ft (id int) server s;
    create view v as select id from ft where false; create rule r as on insert to v do instead nothing`;
  await deploy(url, { '1_seed': foreign });
  const before = await content();
  const sql = `insert into p values (2, 'a');\ninsert into v values (1);\ninsert into p values (3, 'b')`;
  const files = { '1_seed': foreign, '2_b': sql };
  await expect(deploy(url, files, { vault: {} })).rejects.toMatchObject({
    code: 'VAULT_CANNOT_KEEP',
    details: { line: 2 },
  });
  const allow = [{ code: 'VAULT_CANNOT_KEEP', reason: 'a test' }];
  const [outcome] = await deploy(url, files, { vault: {}, allow });
  expect(outcome?.unkept).toEqual([expect.stringMatching(/^line 2: /)]);
  await rollBack(url, { '2_b': '' });
  expect(await content()).toEqual(before);
});

test('UPDATEs of the same columns are kept as one where their order does not matter', async () => {
  const free =
    'create table t (id int primary key, a text, u text unique); insert into t select i, i::text, i::text from generate_series(10, 159) i';
  await deploy(url, { '1_seed': free });
  const before = await rowsOf(url, 'select * from t order by id');
  const sql = some(150, (n) => `update t set a = 'new' where id >= ${n}`);
  // One takes the value that another has given up: they are given back one after the other.
  const swap =
    "update t set u = 'x' where id = 10; update t set u = '10' where id = 11; update t set u = '11' where id = 10";
  const [outcome] = await deploy(url, { '1_seed': free, '2_b': `${sql}; ${swap}` }, { vault: {} });
  expect(outcome).toMatchObject({ kept: expect.objectContaining({ length: 4 }), tries: 1 });
  await rollBack(url, { '2_b': '' });
  expect(await rowsOf(url, 'select * from t order by id')).toEqual(before);
});

test('upserts are kept as one where they set such columns', async () => {
  const free =
    'create table t (id int primary key, a text, b text unique); insert into t select i, i::text, i::text from generate_series(10, 40) i';
  await deploy(url, { '1_seed': free });
  const before = await rowsOf(url, 'select * from t order by id');
  const sql = some(
    60,
    (n) => `insert into t values (${n}, 'new', '${n}') on conflict (id) do update set a = excluded.a || t.a`,
  );
  const [outcome] = await deploy(url, { '1_seed': free, '2_b': `${sql};\n${sql}` }, { vault: {} });
  expect(outcome?.kept).toHaveLength(1);
  expect(await rowsOf(url, 'select * from t order by id')).toHaveLength(60);
  await rollBack(url, { '2_b': '' });
  expect(await rowsOf(url, 'select * from t order by id')).toEqual(before);
});

test('where nothing is kept they are sent in messages of a bounded size', async () => {
  const sized = `${seed}; create table sizes_of_messages (n int)`;
  await deploy(url, { '1_seed': sized });
  await deploy(url, {
    '1_seed': sized,
    '2_b': `${some(300, (n) => `insert into p values (${n}, 'n${n}')`)};
    insert into sizes_of_messages values (length(current_query()))`,
  });
  expect(await rowsOf(url, 'select n < 10000 as bounded from sizes_of_messages')).toEqual([
    { bounded: true },
  ]);
});
