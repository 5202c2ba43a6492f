/** The way back from a swap, for as long as the old table is kept. */
import type { Session } from '../../db/session.ts';
import { AppError } from '../../errors.ts';
import { removeEntry } from '../../vault/remove.ts';
import { patiently } from '../patience.ts';
import { exchange } from './exchange.ts';
import { dropMirrorSql } from './mirror.ts';
import { atFault, requireSettled, settleNotes } from './notes.ts';
import { requireTable } from './prepare.ts';
import { requireShadow, type Shadow, updateShadow } from './state.ts';
import { type SwapRequest, validateForeignKeys } from './swap.ts';
import { inOwnTransaction, runAll } from './transaction.ts';

/**
 * Gives the old table its place back, with all that was written since the swap. The one that had it goes to the vault.
 * Killed anywhere, it can be called again.
 * @throws AppError `SWAP_NOT_UNDOABLE`, `ROWS_AT_FAULT` where rows do not fit into the old form; `LOCK_TIMEOUT`
 */
export async function undoSwap(session: Session, request: SwapRequest): Promise<void> {
  const state = await requireShadow(session, request.id);
  if (state.state === 'mirrored' || state.state === 'dropped' || state.wayBack === null)
    throw notUndoable(
      state,
      state.state === 'dropped' ? 'the old table is not kept any more' : 'the tables were not swapped',
    );
  if (state.state === 'swapped')
    await patiently(request, async () => {
      const refused = await settleNotes(session, state, 'back');
      if (refused > 0) throw atFault(state, 'back', `${refused} rows`);
      await inOwnTransaction(session, () => undoNow(session, request, state));
    });
  await validateForeignKeys(session, request);
}

async function undoNow(session: Session, request: SwapRequest, state: Shadow): Promise<void> {
  const { id } = request;
  const leaving = await requireTable(session, state.shadow, state);
  const coming = await requireTable(session, state.old, state);
  if (leaving.schema !== state.schema || leaving.name !== state.table)
    throw notUndoable(state, `the table is ${leaving.schema}.${leaving.name} by now`);
  const { unvalidated } = await exchange(session, {
    ...request,
    ...{ name: state.name, leaving, coming, wayBack: state.wayBack, beforeRemoval: [] },
    async checked() {
      await requireSettled(session, state, 'back');
      await runAll(session, dropMirrorSql({ id, direction: 'back' }));
    },
  });
  await session.query(
    "update switchback_vault.entry set state = 'restored', relation = null, bytes = 0 where id = $1",
    [state.wayBack?.entry],
  );
  await updateShadow(session, id, { state: 'undone', unvalidated });
}

/**
 * Ends the way back: the old table is dropped, and nothing is written to it any more. The end of its retention does the same.
 * @throws AppError `SWAP_NOT_UNDOABLE`, `LOCK_TIMEOUT`
 */
export async function dropOld(session: Session, id: string): Promise<void> {
  const state = await requireShadow(session, id);
  if (state.state === 'dropped') return;
  if (state.state !== 'swapped' || state.wayBack === null)
    throw notUndoable(state, 'the tables are not swapped');
  await removeEntry(session, state.wayBack.entry);
}

const notUndoable = ({ id, name, schema, table }: Shadow, why: string): AppError =>
  new AppError(
    'SWAP_NOT_UNDOABLE',
    `The swap of ${schema}.${table} by the data migration "${name}" (${id}) cannot be undone or concluded: ${why}. Nothing was done.`,
    { dataMigration: id, reason: why },
  );
