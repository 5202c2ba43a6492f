/** The way back from a swap, for as long as the old table is kept. */
import type { Session } from '../../db/session.ts';
import type { Target } from '../../db/target.ts';
import { AppError } from '../../errors.ts';
import { removeEntry } from '../../vault/remove.ts';
import { endOrphans, lockMigration } from '../claim.ts';
import { patiently } from '../patience.ts';
import { openPlace } from '../place.ts';
import { cancelWith } from '../worker.ts';
import { exchange } from './exchange.ts';
import { dropMirrorSql } from './mirror.ts';
import { atFault, requireSettled, settleNotes } from './notes.ts';
import { requireShadow, type Shadow, updateShadow, type WayBack } from './state.ts';
import { reportSwapped, type SwapRequest, validateForeignKeys } from './swap.ts';
import { findTables } from './tables.ts';
import { inOwnTransaction, runAll } from './transaction.ts';

/**
 * Gives the old table its place back, with all that was written since the swap. The one that had it goes to the vault.
 * Killed anywhere, it can be called again.
 * @throws AppError `SWAP_NOT_UNDOABLE`, `ROWS_AT_FAULT` where rows do not fit into the old form; `LOCK_TIMEOUT`
 */
export async function undoSwap(session: Session, request: SwapRequest): Promise<void> {
  const state = await requireShadow(session, request.id);
  requireSwapped(state);
  if (state.state === 'swapped')
    await patiently(session, request, async () => {
      const refused = await settleNotes(session, state, 'back');
      if (refused > 0) throw atFault(state, 'back', `${refused} rows`);
      const startedAt = performance.now();
      await inOwnTransaction(session, () => undoNow(session, request, state));
      reportSwapped(request, state, startedAt);
    });
  await validateForeignKeys(session, request);
}

async function undoNow(session: Session, request: SwapRequest, state: Shadow): Promise<void> {
  const { id } = request;
  const { names, restore, entry } = state.wayBack as WayBack;
  const { live: leaving, mirrored: coming } = await findTables(session, state);
  if (leaving.schema !== state.schema || leaving.name !== state.table)
    throw notUndoable(state, `the table is ${leaving.schema}.${leaving.name} by now`);
  const { unvalidated } = await exchange(session, {
    ...request,
    ...{ name: state.name, leaving, coming, names, restore, beforeRemoval: [] },
    async checked() {
      await requireSettled(session, state, 'back');
      await runAll(session, dropMirrorSql({ id, direction: 'back' }));
    },
  });
  await session.query(
    "update switchback_vault.entry set state = 'restored', relation = null, bytes = 0 where id = $1",
    [entry],
  );
  await updateShadow(session, id, { state: 'undone', unvalidated });
}

/**
 * `undoSwap` in a session of its own, once whoever was at it before is gone.
 * @throws AppError those of `undoSwap`, of sessions
 */
export async function undoIn(
  target: Target,
  request: SwapRequest & { readonly lockTimeoutMs: number },
): Promise<void> {
  const { id, lockTimeoutMs, signal } = request;
  const session = await openPlace(target, id, lockTimeoutMs);
  const stopCancelling = cancelWith(signal, [session]);
  try {
    requireSwapped(await requireShadow(session, id));
    await endOrphans(session, id);
    await lockMigration(session, id, signal);
    await undoSwap(session, request);
  } finally {
    stopCancelling();
    await session.close();
  }
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

/** Or undone, so that it can be called again. */
function requireSwapped(state: Shadow): void {
  if (state.state === 'mirrored') throw notUndoable(state, 'the tables were not swapped');
  if (state.state === 'dropped') throw notUndoable(state, 'the old table is not kept any more');
}

const notUndoable = ({ id, name, schema, table }: Shadow, why: string): AppError =>
  new AppError(
    'SWAP_NOT_UNDOABLE',
    `The swap of ${schema}.${table} by the data migration "${name}" (${id}) cannot be undone or concluded: ${why}. Nothing was done.`,
    { dataMigration: id, reason: why },
  );
