import type { Session } from '../db/session.ts';
import { type Estimate, estimateRemoval } from '../vault/estimate.ts';
import { heldBytes } from '../vault/list.ts';
import type { Fault } from './fault.ts';
import type { Keeping } from './keeping.ts';
import type { Plan, PlannedMigration } from './plan.ts';

/** Whether any of these removes anything that was there before it. */
export const removes = (migrations: readonly Pick<PlannedMigration, 'segments'>[]): boolean =>
  migrations.some((one) => removalsIn(one).length > 0);

/**
 * The plan with what the vault would take in for each migration, from the catalogue's statistics; where that, with what
 * the vault has already, is over its limit, that is a fault. Reads only.
 */
export async function estimateKept(
  session: Session,
  plan: Plan,
  policy: Pick<Keeping, 'limitBytes' | 'whenFull'>,
): Promise<Plan> {
  const migrations: PlannedMigration[] = [];
  for (const migration of plan.migrations) {
    const removals = removalsIn(migration);
    const estimates: Estimate[] = [];
    for (const removal of removals) estimates.push(await estimateRemoval(session, removal));
    migrations.push({ ...migration, keeps: removals.length === 0 ? null : estimates.reduce(sum) });
  }
  // Of one that is gone on with, the vault may have a part already: it was let begin.
  const more = migrations
    .filter(({ resumes }) => resumes === null)
    .reduce((bytes, { keeps }) => bytes + certainBytes(keeps), 0);
  const held = more === 0 ? 0 : await heldBytes(session);
  const { limitBytes } = policy;
  const full = limitBytes !== null && more > 0 && held + more > limitBytes;
  return {
    ...plan,
    migrations,
    faults: full ? [...plan.faults, isFull({ held, more, limitBytes }, policy)] : plan.faults,
  };
}

const removalsIn = ({ segments }: Pick<PlannedMigration, 'segments'>) =>
  segments
    .filter(({ rollsBack }) => !rollsBack)
    .flatMap(({ steps }) => steps.flatMap(({ removals }) => removals));

/** How much a statement changes shows when it runs: then the limit holds all the same. */
const certainBytes = (keeps: Estimate | null): number => (keeps === null || keeps.atMost ? 0 : keeps.bytes);

const sum = (a: Estimate, b: Estimate): Estimate => ({
  bytes: a.bytes + b.bytes,
  rows: a.rows < 0 || b.rows < 0 ? -1 : a.rows + b.rows,
  moved: a.moved && b.moved,
  atMost: a.atMost || b.atMost,
  unknown: a.unknown || b.unknown,
});

const isFull = (
  { held, more, limitBytes }: { held: number; more: number; limitBytes: number },
  { whenFull }: Pick<Keeping, 'whenFull'>,
): Fault => ({
  code: 'VAULT_FULL',
  severity: whenFull === 'refuse' ? 'stop' : 'warn',
  migration: null,
  message:
    `What these migrations remove takes about ${more} bytes, the vault holds ${held}, and its limit is ${limitBytes}. ` +
    (whenFull === 'refuse'
      ? 'Nothing was done. Remove entries that are no longer needed, raise the limit (policy vault.limitBytes), or let a verified backup be the way back (vault.whenFull: "backup").'
      : 'What does not fit will not be kept: the backup of this deployment is the way back.'),
});
