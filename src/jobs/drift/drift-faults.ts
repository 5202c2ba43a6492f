import type { DatabaseConfig } from '../../config.ts';
import type { Fault } from '../../migrations/fault.ts';
import { compareFingerprints, type Fingerprint } from '../../schema/fingerprint.ts';

/** So many differences are named. */
const named = 10;

/**
 * What stands against deploying to a live schema that is not what its migrations make.
 * @param expected what they make
 * @param copied what a copy of the live schema has
 */
export function driftFaults(
  { name }: DatabaseConfig,
  expected: Fingerprint,
  copied: Fingerprint,
): readonly Fault[] {
  const differences = compareFingerprints(expected, copied);
  if (differences.length === 0) return [];
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
  return [fault];
}
