import { sqlstateOf } from '../../db/errors.ts';

/** How PostgreSQL refuses a row. */
export interface Refusal {
  /** Its SQLSTATE. */
  readonly code: string;
  readonly constraint: string | null;
  readonly message: string;
}

/** @throws the error itself where it is none of the server's */
export function refusalOf(error: unknown): Refusal {
  const code = sqlstateOf(error);
  if (code === undefined || !(error instanceof Error)) throw error;
  // Of a session it stands in the details, of a client on the error.
  const { details = error } = error as { details?: object };
  const { constraint, reason } = details as { constraint?: unknown; reason?: unknown };
  return {
    code,
    constraint: typeof constraint === 'string' ? constraint : null,
    message: typeof reason === 'string' ? reason : error.message,
  };
}
