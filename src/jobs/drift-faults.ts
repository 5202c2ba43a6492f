import { withSession } from '../db/session.ts';
import type { Target } from '../db/target.ts';
import { AppError } from '../errors.ts';
import type { Fault } from '../migrations/fault.ts';
import { compareFingerprints, type Fingerprint, readFingerprint } from '../schema/fingerprint.ts';
import { type ExpectedRequest, expectedSchema } from './expected-schema.ts';

/** So many differences are named. */
const named = 10;

/**
 * What stands against deploying to a live schema that is not what its migrations make.
 * @param copy a scratch database with the live schema, and nothing else
 * @returns faults; or why it is not known
 */
export async function driftFaults(
  request: ExpectedRequest,
  copy: Target,
): Promise<{ readonly faults: readonly Fault[]; readonly unknown: string | null }> {
  let expected: Fingerprint;
  try {
    expected = await expectedSchema(request);
  } catch (error) {
    request.signal.throwIfAborted();
    if (!(error instanceof AppError)) throw error;
    return { faults: [], unknown: error.message };
  }
  const live = await withSession(
    copy,
    { applicationName: `switchback:${request.jobId}:schema`, doing: 'looking for drift' },
    (session) => readFingerprint(session, { ignore: request.database.policy.ignore }),
  );
  const differences = compareFingerprints(expected, live);
  if (differences.length === 0) return { faults: [], unknown: null };
  const { name } = request.database;
  const more = differences.length > named ? ` and ${differences.length - named} more` : '';
  const fault: Fault = {
    code: 'SCHEMA_DRIFTED',
    severity: 'stop',
    migration: null,
    message:
      `${name} is not what its applied migrations make (${differences
        .slice(0, named)
        .map(({ words }) => words)
        .join(
          '; ',
        )}${more}): somebody has changed it by hand, or by \`prisma db push\`. The database was not touched. ` +
      `POST /api/databases/${name}/drift gives the SQL for both directions; or put what is meant so into the policy's \`ignore\`, or allow SCHEMA_DRIFTED with a reason.`,
  };
  return { faults: [fault], unknown: null };
}
