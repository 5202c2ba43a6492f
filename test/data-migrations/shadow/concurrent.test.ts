/** While an application writes in every way and at every isolation level, no write is lost: before the swap, across it, and across its undoing. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { settleNotes } from '../../../src/data-migrations/shadow/notes.ts';
import { requireShadow } from '../../../src/data-migrations/shadow/state.ts';
import { undoSwap } from '../../../src/data-migrations/shadow/undo.ts';
import { createDatabase, type TestDatabase } from '../../support/postgres.ts';
import { waitFor } from '../../support/wait.ts';
import { sql, value } from '../migrate.ts';
import { Application, accounts, sumsSql } from './application.ts';
import { atPlace, exchange, swapOf } from './tables.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

const run = (text: string): Promise<Record<string, unknown>[]> => sql(database.url, text);

/** Rows that one of the two tables has in another way. */
const differing = async (): Promise<unknown> => {
  const old = await value(
    database.url,
    "select 'switchback_vault.' || relation from switchback_vault.entry where state = 'kept'",
  );
  return value(
    database.url,
    `select count(*)::int from account a full join ${String(old)} o on o.id = a.id where (a.id, a.balance, lower(a.note), a.touched) is distinct from (o.id, o.balance, o.note, o.touched)`,
  );
};

test('no write is lost', { timeout: 180_000 }, async () => {
  await run(accounts);
  const application = new Application(database.url, 6);
  application.start();
  const written = async (more: number): Promise<void> => {
    const before = application.writes;
    await waitFor(() => application.writes >= before + more || application.errors.length > 0, {
      timeoutMs: 60_000,
    });
  };
  const id = randomUUID();
  await exchange(
    database.url,
    {
      table: 'account',
      alter: 'alter column id type bigint, alter column balance type bigint',
      columns: { note: { forth: 'upper(note)', back: 'lower(note)' } },
      pace: { maxRows: 50, lockTimeoutMs: 300 },
      parallelism: 2,
    },
    { id },
  );
  await written(300);
  await application.stop();
  expect(application.errors).toEqual([]);
  const [sums] = await run(sumsSql);
  expect(sums?.sum).toBe(sums?.ledger);
  expect(await value(database.url, 'select pg_typeof(max(id))::text from account')).toBe('bigint');
  const refused = await atPlace(database.url, async (session) =>
    settleNotes(session, await requireShadow(session, id), 'back'),
  );
  expect(refused).toBe(0);
  expect(await differing()).toBe(0);
  const later = new Application(database.url, 6);
  later.start();
  await waitFor(() => later.writes > 100 || later.errors.length > 0, { timeoutMs: 60_000 });
  await atPlace(database.url, (session) => undoSwap(session, swapOf(id)), 300);
  await later.stop();
  expect(later.errors).toEqual([]);
  const [after] = await run(sumsSql);
  expect(after?.sum).toBe(after?.ledger);
  expect(await value(database.url, 'select pg_typeof(max(id))::text from account')).toBe('integer');
});
