import { v7 as newId } from 'uuid';
import { z } from 'zod';
import { parseTarget } from '../../db/target.ts';
import {
  baseline,
  type RecoveryOutcome,
  resolveApplied,
  resolveRolledBack,
} from '../../migrations/recover.ts';
import { databaseOf } from '../databases.ts';
import { defineJob } from '../define-job.ts';
import { loadBundle } from '../deployments/bundles.ts';

const migration = z.string().min(1).max(255);
const bundle = z.string().min(1).max(64).optional();

export const recoveryPayload = z.discriminatedUnion('action', [
  z.strictObject({ action: z.literal('baseline'), upTo: migration.optional(), bundle }),
  z.strictObject({ action: z.literal('resolveApplied'), migration, bundle }),
  z.strictObject({ action: z.literal('resolveRolledBack'), migration, bundle }),
]);

/** Brings the history in line with what the database is: the way out of "needs a baseline" and "failed predecessor". */
export const recovery = defineJob({
  name: 'recovery',
  queue: 'operations',
  payload: recoveryPayload,
  steps: ['load', 'recover'],
  exclusive: true,
  attempts: 1,
  backoffMs: () => 0,
  // Each recovery is one transaction: run again, it either finds its work done or does it.
  whenInterrupted: 'resume',
  record({ id: jobId, database, payload, requestedBy }) {
    const { action } = payload;
    const migration = action === 'baseline' ? (payload.upTo ?? null) : payload.migration;
    return {
      table: 'recovery',
      row: { id: newId(), job_id: jobId, database, action, migration, requested_by: requestedBy },
    };
  },
  async run({ job, payload, deps, signal, step }): Promise<RecoveryOutcome> {
    const database = databaseOf(deps.config, job.database);
    const target = parseTarget(database.url);
    const loaded = await step('load', () => loadBundle(deps.control, database, payload.bundle));
    const outcome = await step('recover', () => {
      const request = { target, bundle: loaded, jobId: job.id, signal };
      if (payload.action === 'baseline') return baseline({ ...request, upTo: payload.upTo });
      return payload.action === 'resolveApplied'
        ? resolveApplied({ ...request, migration: payload.migration })
        : resolveRolledBack({ ...request, migration: payload.migration });
    });
    await deps.control.prisma.recovery.update({
      where: { jobId: job.id },
      data: { outcome: { ...outcome } },
    });
    return outcome;
  },
});
