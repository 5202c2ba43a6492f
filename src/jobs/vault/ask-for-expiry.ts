import { v7 as newId } from 'uuid';
import { insertJob } from '../../db/control/job-rows.ts';
import type { JobDependencies } from '../dependencies.ts';
import { addEntries, nextEntry } from '../entries.ts';
import { vaultExpiry } from '../kinds/vault-expiry.ts';

/** Of the control database: whoever has it asks, and nobody else. */
const askingLock = 7410_2026_0002;

/**
 * Asks for the vaults' expired entries to be removed, unless that was asked for within `everyMs` by any worker. A crash
 * between the row and the queue is mended by the repair pass, as for any job.
 */
export async function askForExpiry(deps: JobDependencies, everyMs: number): Promise<void> {
  const { name: kind, queue, exclusive } = vaultExpiry;
  const job = { id: newId(), kind, queue, exclusive, database: null, requestedBy: 'switchback', payload: {} };
  const asked = await deps.control.prisma.$transaction(async (transaction) => {
    const rows = await transaction.$queryRaw<{ due: boolean }[]>`
      select pg_try_advisory_xact_lock(${askingLock}::bigint)
         and not exists (select from job where kind = ${kind}
                            and (state in ('queued', 'running') or created_at > now() - ${everyMs}::float8 * interval '1 millisecond')) as due`;
    if (rows[0]?.due !== true) return false;
    await insertJob(transaction, job, null);
    return true;
  });
  if (asked) await addEntries(deps, [nextEntry({ ...job, attempt: 0 })]);
}
