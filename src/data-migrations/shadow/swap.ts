/** The swap: the shadow takes the table's place. */
import type { Session } from '../../db/session.ts';
import { AppError } from '../../errors.ts';
import { readTable, type Table } from '../../vault/table.ts';
import type { DataMigrationEvent } from '../events.ts';
import { patiently } from '../patience.ts';
import { alwaysSql, exchange } from './exchange.ts';
import { formOf } from './like.ts';
import { createMirror, dropMirrorSql } from './mirror.ts';
import { atFault, requireSettled, settleNotes } from './notes.ts';
import { requireShadow, type Shadow, shadowSchema, type Unvalidated, updateShadow } from './state.ts';
import { findTables } from './tables.ts';
import { inOwnTransaction, runAll } from './transaction.ts';

export interface SwapRequest {
  /** Of the data migration. */
  readonly id: string;
  /** So long is the table that leaves kept. */
  readonly retentionDays: number;
  readonly signal: AbortSignal;
  readonly report: (event: DataMigrationEvent) => void;
}

/**
 * Gives the shadow the table's place in one transaction, which is tried again where it does not get its locks, and then
 * validates foreign keys. From then on what is written to the table is written to the old one as well. Killed anywhere, it
 * can be called again.
 * @throws AppError `ROWS_AT_FAULT`, `TABLE_CHANGED`, `LOCK_TIMEOUT`; the signal's reason
 */
export async function swap(session: Session, request: SwapRequest): Promise<void> {
  const state = await requireShadow(session, request.id);
  if (state.state === 'mirrored') {
    const { mirrored } = await findTables(session, state);
    // Without statistics the application's first queries would be planned for an empty table. An autovacuum may be at it.
    await patiently(session, request, () => unhurried(session, `vacuum (analyze) ${mirrored.sql}`));
    await patiently(session, request, async () => {
      const refused = await settleNotes(session, state, 'forth');
      if (refused > 0) throw atFault(state, 'forth', `${refused} rows`);
      const startedAt = performance.now();
      await inOwnTransaction(session, () => swapNow(session, request, state));
      reportSwapped(request, state, startedAt);
    });
  }
  await validateForeignKeys(session, request);
}

export const reportSwapped = (
  { report }: Pick<SwapRequest, 'report'>,
  { schema, table }: Shadow,
  startedAt: number,
): void =>
  report({
    type: 'swapped',
    table: `${schema}.${table}`,
    tookMs: Math.round(performance.now() - startedAt),
  });

async function swapNow(session: Session, request: SwapRequest, state: Shadow): Promise<void> {
  const { id } = request;
  const { live: leaving, mirrored: coming } = await findTables(session, state);
  const { wayBack, unvalidated } = await exchange(session, {
    ...request,
    ...{ name: state.name, leaving, coming, names: [] },
    restore: alwaysSql(leaving.sql, state.columns.always),
    beforeRemoval: [
      "set local lock_timeout = '2s'",
      ...dropMirrorSql({ id, direction: 'back' }),
      `update switchback.shadow set state = 'dropped' where id = '${id}'`,
    ],
    async checked() {
      await requireUnchanged(session, state, leaving);
      await requireSettled(session, state, 'forth');
      await runAll(session, dropMirrorSql({ id, direction: 'forth' }));
    },
  });
  await session.query(`drop schema ${shadowSchema(id)}`);
  const [from, to] = [await readTable(session, coming.oid), await readTable(session, leaving.oid)];
  if (from === null || to === null) throw new Error('a table that is locked is gone');
  const { key, back } = state.columns;
  await createMirror(session, { ...{ id, direction: 'back', from, to, key, columns: back } });
  await updateShadow(session, id, { state: 'swapped', unvalidated, wayBack });
}

async function requireUnchanged(session: Session, state: Shadow, table: Table): Promise<void> {
  if ((await formOf(session, table.oid)) === state.form) return;
  throw new AppError(
    'TABLE_CHANGED',
    `${state.schema}.${state.table} was changed since its shadow was made like it (its columns, indexes or constraints): the change would be lost. It stays as it is. Cancel the data migration "${state.name}" and begin a new one.`,
    { dataMigration: state.id, table: `${state.schema}.${state.table}` },
  );
}

/** Under a lock that lets others read and write. */
export async function validateForeignKeys(
  session: Session,
  request: Pick<SwapRequest, 'id' | 'signal' | 'report'>,
): Promise<void> {
  for (;;) {
    const { state, unvalidated } = await requireShadow(session, request.id);
    const [next, ...rest] = unvalidated;
    if (next === undefined) return;
    await patiently(session, request, () =>
      inOwnTransaction(session, async () => {
        await session.query('set local statement_timeout = 0');
        await validate(session, next);
        await updateShadow(session, request.id, { state, unvalidated: rest });
      }),
    );
  }
}

/** A foreign key that was dropped since is none of ours any more. */
async function validate(session: Session, { table, name }: Unvalidated): Promise<void> {
  const { rows } = await session.query<{ command: string }>(
    `select format('alter table %s validate constraint %I', conrelid::regclass, conname) as command
       from pg_constraint where conrelid = to_regclass($1) and conname = $2 and contype = 'f' and not convalidated`,
    [table, name],
  );
  await runAll(
    session,
    rows.map(({ command }) => command),
  );
}

/** `VACUUM` and the like take their time, and no transaction. */
async function unhurried(session: Session, sql: string): Promise<void> {
  await session.query('set statement_timeout = 0');
  try {
    await session.query(sql);
  } finally {
    if (session.alive) await session.query("set statement_timeout = '60s'");
  }
}
