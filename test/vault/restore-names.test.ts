/** Names and types that get in the way of nothing of ours. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Session } from '../../src/db/session.ts';
import { restoreEntries } from '../../src/vault/restore.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';
import { changes, changeType, dropColumns, migrate, open, texts, truncate } from './harness.ts';

let database: TestDatabase;
let session: Session;
beforeEach(async () => {
  database = await createDatabase();
  session = await open(database.url);
});
afterEach(async () => {
  await session.close();
  await database.drop();
});

async function restore(ids: readonly string[], before = 'select 1') {
  await session.query('begin');
  await session.query(before);
  const outcomes = await restoreEntries(session, ids);
  await session.query('commit');
  return outcomes.map(({ restored, conflicts }) => [restored, conflicts]);
}

/** Every name that stands in a statement of ours for something else. */
const names = [
  ...[' at', ' at ', 'at', 'op', 'old', 'new', 'number', 'entry', 'rest', 'nth', 'nth_old', 'n', 'changed'],
  ...['part', 'place', 'texts', 'left_1', 'new_1', 'key_1', 'value_1', 'reason', 'detail', 'kept', 'copied'],
  ...['c', 'n ', 'o', 'p', 'r', 's', 't', 'u', 'v', 'w', 'l', 'tableoid_', 'x"y\'z\\', 'ä'.repeat(31)],
];
const columns = names.map((name) => `"${name.replaceAll('"', '""')}" text`).join();
const values = names.map((_, index) => `'${index}'`).join();

test.each([
  ['with a key', 'id int primary key'],
  ['without one', 'id int'],
])('a table that has all of our names for its columns, %s', async (_, key) => {
  await session.query(
    `create table entry (${key}, ${columns}); insert into entry values (1, ${values}), (2, ${values}), (3, ${values})`,
  );
  const all = () =>
    texts(session, `select id, ${names.map((name) => `"${name.replaceAll('"', '""')}"`).join()} from entry`);
  const before = await all();
  const ids = await migrate(session, [
    changes(['entry'], `update entry set "op" = 'x', " at" = null where id < 3`),
    changes(['entry'], 'delete from entry where id = 1'),
    changeType('entry', ['old'], 'alter table entry alter column old type varchar(1) using left(old, 1)'),
    dropColumns('entry', ['value_1', 't'], 'alter table entry drop column value_1, drop column t'),
    truncate(['entry'], 'truncate entry'),
  ]);
  const outcomes = await restore(
    ids,
    'alter table entry alter column old type text; alter table entry add column value_1 text, add column t text',
  );
  expect(outcomes.map(([, conflicts]) => conflicts)).toEqual([{}, {}, {}, {}, {}]);
  expect(await all()).toEqual(before);
});

test.each([
  ['citext', 'citext', "'Ab'", "'cD'"],
  ['ltree', 'ltree', "'a.b'", "'c'"],
  ['hstore', 'hstore', "'a=>1'", "'b=>2'"],
  [null, 'name', "'a'", "'b'"],
  [null, 'int[]', "'{1}'", "'{2,null}'"],
  [null, 'int4range', "'[1,2)'", "'empty'"],
  [null, 'inet', "'10.0.0.1'", "'10.0.0.0/8'"],
  [
    'citext',
    'nested',
    "'Ab'",
    "'cD'",
    'create domain inner_one as citext; create domain nested as inner_one',
  ],
] as readonly [string | null, string, string, string, string?][])(
  'keys of the extension %s, type %s',
  async (extension, type, one, other, before = 'select 1') => {
    if (extension !== null) await session.query(`create extension ${extension}`);
    await session.query(
      `${before}; create table a (k ${type} primary key, n text, m text); insert into a values (${one}, 'x', 'm'), (${other}, 'y', 'm')`,
    );
    const all = await texts(session, 'select * from a');
    const ids = await migrate(session, [
      changes(['a'], "update a set n = 'z'"),
      changes(['a'], `delete from a where k = ${one}`),
      changes(['a'], `insert into a values (${one})`),
      dropColumns('a', ['m'], 'alter table a drop column m'),
    ]);
    const outcomes = await restore(ids, 'alter table a add column m text');
    expect(outcomes.map(([, conflicts]) => conflicts)).toEqual([{}, {}, {}, {}]);
    expect(await texts(session, 'select * from a')).toEqual(all);
  },
);
