/** Which entries a run gives back: those of the run that it undoes, whoever has saved them, and all of them or none. */
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Session } from '../../src/db/session.ts';
import { loadParser } from '../../src/sql/parse.ts';
import { deploy, openClient, reversalsOf, rollBack } from '../migrations/deploy.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';
import { waitFor } from '../support/wait.ts';
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

const seed = {
  '0_seed': "create table a (id int primary key, n text); insert into a values (1, 'x'), (2, 'y'), (3, 'z')",
};
const rows = () => texts(session, 'select id, n from a');
const all = ['(1,x)', '(2,y)', '(3,z)'];
const again = { allow: [{ code: 'MIGRATION_ROLLED_BACK', reason: 'again' }] };

test('what one deployment began and another finished comes back whole', async () => {
  await deploy(database.url, seed);
  const files = {
    ...seed,
    '1_delete':
      'delete from a where id = 1; create index concurrently by_n on a (n); delete from a where id = 2',
  };
  // For a snapshot that is older than it, CREATE INDEX CONCURRENTLY waits.
  const holder = await openClient(database.url);
  await holder.query('begin isolation level repeatable read');
  await holder.query('select from pg_class limit 1');
  const first = deploy(database.url, files, {
    vault: { operation: 'first' },
    lockTimeoutMs: 60_000,
    lockBudgetMs: 60_000,
  });
  first.catch(() => undefined);
  await waitFor(async () => {
    const [waiting] = await texts(
      session,
      "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and query ilike 'create index concurrently%'",
    );
    return waiting;
  });
  await expect(first).rejects.toMatchObject({ code: expect.any(String) });
  await holder.query('commit');
  await holder.close();
  expect(await rows()).toEqual(all.slice(1));

  await deploy(database.url, files, { vault: { operation: 'second' }, jobId: 'second' });
  expect(await rows()).toEqual(all.slice(2));
  const [outcome] = await rollBack(database.url, { '1_delete': 'drop index by_n' });
  expect(outcome?.restored.map(({ restored }) => restored)).toEqual([1, 1]);
  expect(await rows()).toEqual(all);
});

test('each time that a migration is applied and taken back, that run comes back, and no other', async () => {
  await deploy(database.url, seed);
  const files = { ...seed, '1_change': "update a set n = n || '!'; delete from a where id = 3" };
  await deploy(database.url, files, { vault: { operation: 'one' } });
  // Of the first run a conflict is left: its value must not turn up later.
  await session.query("update a set n = 'application' where id = 1");
  await rollBack(database.url, { '1_change': '' }, { vault: { operation: 'back one' } });
  expect(await rows()).toEqual(['(1,application)', '(2,y)', '(3,z)']);

  await deploy(database.url, files, { vault: { operation: 'two' }, ...again });
  expect(await rows()).toEqual(['(1,application!)', '(2,y!)']);
  await rollBack(database.url, { '1_change': '' }, { vault: { operation: 'back two' } });
  expect(await rows()).toEqual(['(1,application)', '(2,y)', '(3,z)']);

  await deploy(database.url, files, { vault: { operation: 'three' }, ...again, restore: true });
  const [reversal] = await reversalsOf(database.url, { '1_change': '' });
  const kept = await texts(
    session,
    `select operation from switchback_vault.entry where id::text = any('{${reversal?.entries.join()}}')`,
  );
  expect(new Set(kept)).toEqual(new Set(['(three)']));
});

test.each([
  ['its relation', (relation: string) => `drop table switchback_vault.${relation}`, 'VAULT_ENTRY_REMOVED'],
  ['its line', () => 'delete from switchback_vault.entry', 'VAULT_ENTRY_NOT_FOUND'],
])(
  'of an entry of which %s was removed by hand nothing is given back, nor of the others',
  async (_, remove, code) => {
    await deploy(database.url, seed);
    await deploy(
      database.url,
      { ...seed, '1_drop': 'delete from a where id = 1; alter table a drop column n' },
      { vault: {} },
    );
    const reversals = await reversalsOf(database.url, { '1_drop': 'alter table a add column n text' });
    const [relation = ''] = await texts(
      session,
      "select relation from switchback_vault.entry where kind = 'column'",
    );
    await session.query(remove(relation.slice(1, -1)));
    await expect(rollBack(database.url, {}, { reversals })).rejects.toMatchObject({ code });
    expect(await texts(session, 'select * from a')).toEqual(['(2)', '(3)']);
  },
);
