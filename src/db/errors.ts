import { DatabaseError } from 'pg';
import { AppError, type ErrorCode, type ErrorDetails } from '../errors.ts';

/** Where an error met us, for its message: `while reading the history of orders`. */
export interface PostgresErrorContext {
  readonly doing: string;
  /** The database as people may see it (`Target.display`). */
  readonly database: string;
}

const bySqlstate: Readonly<Record<string, ErrorCode>> = {
  '55P03': 'LOCK_TIMEOUT',
  '57014': 'STATEMENT_TIMEOUT',
  '40001': 'SERIALIZATION_FAILURE',
  '40P01': 'SERIALIZATION_FAILURE',
  '42501': 'PERMISSION_DENIED',
  // An unknown role, a wrong password, an unknown database: the URL is wrong, trying again will not help.
  '28000': 'PERMISSION_DENIED',
  '28P01': 'PERMISSION_DENIED',
  '3D000': 'DATABASE_UNREACHABLE',
  '53300': 'DATABASE_UNREACHABLE',
};

/** SQLSTATE of what `fromPostgres` made, if PostgreSQL gave one. */
export const sqlstateOf = (error: unknown): string | undefined => {
  if (error instanceof DatabaseError) return error.code;
  return error instanceof AppError && typeof error.details.sqlstate === 'string'
    ? error.details.sqlstate
    : undefined;
};

/**
 * An error of the driver or the server as an AppError.
 * `details`: `sqlstate`, `position` (1-based, in characters of the text sent), `hint`, `constraint`, `table`, `column`,
 * `detail` (PostgreSQL's DETAIL: may hold row values, so it is shown only to readers of the database).
 */
export function fromPostgres(error: unknown, context: PostgresErrorContext): AppError {
  if (error instanceof AppError) return error;
  if (error instanceof DatabaseError) return fromServer(error, context);
  const reason = error instanceof Error ? describeNetworkError(error) : String(error);
  return new AppError(
    'DATABASE_UNREACHABLE',
    `The connection to ${context.database} failed while ${context.doing}: ${reason}.`,
    { database: context.database },
    { cause: error },
  );
}

function fromServer(error: DatabaseError, context: PostgresErrorContext): AppError {
  const code = codeOf(error.code ?? '');
  return new AppError(
    code,
    `PostgreSQL refused while ${context.doing} in ${context.database}: ${error.message} (SQLSTATE ${error.code}).`,
    error.code === '25006' ? { ...detailsOf(error), hint: readOnly } : detailsOf(error),
    { cause: error },
  );
}

const readOnly =
  'The server is a standby, or default_transaction_read_only is on for the database or the role. Deploy to the primary, by a role for which that is off (ALTER ROLE … SET default_transaction_read_only = off).';

function codeOf(sqlstate: string): ErrorCode {
  // 08: connection exceptions; 57P0x: the server shuts down, starts, or ended this session.
  if (sqlstate.startsWith('08') || sqlstate.startsWith('57P')) return 'DATABASE_UNREACHABLE';
  return bySqlstate[sqlstate] ?? 'STATEMENT_FAILED';
}

function detailsOf(error: DatabaseError): ErrorDetails {
  const { code, message, position, hint, constraint, table, column, schema, detail, where } = error;
  const given = { sqlstate: code, reason: message, hint, constraint, table, column, schema, detail, where };
  const present = Object.entries(given).filter(([, value]) => value !== undefined);
  return {
    ...Object.fromEntries(present),
    ...(position === undefined ? {} : { position: Number(position) }),
  };
}

/** Node reports a host with several addresses as an AggregateError without a message of its own. */
function describeNetworkError(error: Error): string {
  if (error instanceof AggregateError) return error.errors.map((one: Error) => one.message).join('; ');
  return error.message;
}
