/** What the scratch database of a rehearsal tells of drift on its way. */
import type { Target } from '../../db/target.ts';
import { AppError } from '../../errors.ts';
import type { Fault } from '../../migrations/fault.ts';
import type { Migration } from '../../migrations/read.ts';
import { isDumpProof } from '../../schema/dump-proof.ts';
import {
  type Fingerprint,
  fingerprintOf,
  readFingerprint,
  withoutOutward,
} from '../../schema/fingerprint.ts';
import { driftFaults } from '../drift/drift-faults.ts';
import {
  type ExpectedRequest,
  expectedSchema,
  keepExpected,
  normalised,
  readAsItIs,
} from '../drift/expected-schema.ts';
import type { RehearsalRequest } from './rehearse.ts';

/**
 * @param coming the migrations that are rehearsed
 * @param judge is told what stands against the deployment, or why that is not known; what it throws stops the rehearsal
 * @returns what is called with the scratch database
 */
export function watchDrift(
  request: ExpectedRequest,
  coming: readonly Migration[],
  judge: (faults: readonly Fault[], unknown: string | null) => void,
): Pick<RehearsalRequest, 'empty' | 'found' | 'made'> {
  /** What the migrations make; null where that is what the copy has. */
  let expected: Fingerprint | null = null;
  let unknown: string | null = null;
  let copied: Fingerprint = fingerprintOf([]);
  let drifted = false;
  let first = true;
  const withoutIgnored = async (scratch: Target, schema: Fingerprint): Promise<Fingerprint> =>
    withoutOutward(request.database.policy.ignore.length === 0 ? schema : await readAsItIs(request, scratch));
  return {
    // Not when the copy is made: dropping a database makes the server write out all others.
    async empty(scratch) {
      if (!first) return;
      first = false;
      try {
        expected =
          request.applied.length === 0 ? await readAsItIs(request, scratch) : await expectedSchema(request);
      } catch (error) {
        request.signal.throwIfAborted();
        if (!(error instanceof AppError)) throw error;
        unknown = error.message;
      }
    },
    async found(scratch, schema) {
      copied = await withoutIgnored(scratch, schema);
      if (expected === null && unknown === null) await keepExpected(request, copied);
      const faults = unknown === null ? driftFaults(request.database, expected ?? copied, copied) : [];
      drifted = faults.length > 0;
      judge(faults, unknown);
    },
    async made(scratch, schema) {
      // What is not as it should be is not to be taken for what should be.
      if (drifted) return;
      const changed = await withoutIgnored(scratch, schema);
      const made = isDumpProof(copied, changed)
        ? changed
        : await normalised(request, scratch, readFingerprint);
      await keepExpected({ ...request, applied: [...request.applied, ...coming] }, made);
    },
  };
}
