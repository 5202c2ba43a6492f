/** What a batch that failed means: try again, find the rows at fault, or stop. */
import { sqlstateOf } from '../db/errors.ts';
import { AppError } from '../errors.ts';

/**
 * - `again`: a conflict with somebody else; the same batch may succeed
 * - `smaller`: it waited or took too long; fewer rows may not
 * - `rows`: the data of some row is at fault
 * - `lost`: the session or the server is gone
 * - `stop`: nothing that a batch could do about it
 */
export type Failure = 'again' | 'smaller' | 'rows' | 'lost' | 'stop';

/**
 * Classes of SQLSTATE that are about values: data exceptions, constraints, what triggers raise, WITH CHECK OPTION,
 * external routines, too many rows of a subquery, an index row that is too long.
 */
const ofValues = /^(21|22|23|27|38|39|44|54|P0)/;
/** Classes that neither the standard nor PostgreSQL uses: an application's own, raised by its triggers. */
const ofApplication = /^(?!58|72|HV|P0|XX)[5-9I-Z]/;
const ofPostgres = /^(53|54|55|57)/;

const ofTransform = new Set([
  'TRANSFORM_FAILED',
  'TRANSFORM_VALUE_REFUSED',
  'TRANSFORM_OUT_OF_MEMORY',
  'BATCH_TOO_LARGE',
  'TRANSFORM_TIMEOUT',
]);

export function failureOf(error: unknown): Failure {
  if (!(error instanceof AppError)) return 'stop';
  if (error.code === 'SERIALIZATION_FAILURE') return 'again';
  if (error.code === 'LOCK_TIMEOUT' || error.code === 'STATEMENT_TIMEOUT') return 'smaller';
  if (error.code === 'DATABASE_UNREACHABLE') return 'lost';
  if (ofTransform.has(error.code)) return 'rows';
  const sqlstate = sqlstateOf(error);
  if (error.code !== 'STATEMENT_FAILED' || sqlstate === undefined) return 'stop';
  if (ofValues.test(sqlstate)) return 'rows';
  return ofApplication.test(sqlstate) && !ofPostgres.test(sqlstate) ? 'rows' : 'stop';
}

/** What PostgreSQL says about a table, column, type or function that is not as it was when the data migration began. */
export const saysChanged = (error: unknown): boolean =>
  /^(42P01|42703|42804|42883|42704|3F000|42P10)$/.test(sqlstateOf(error) ?? '');
