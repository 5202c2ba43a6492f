/**
 * The error catalogue: every error that Switchback raises on purpose has one entry here.
 *
 * The category decides everything else: the HTTP status (`httpStatus`) and whether a job that met the error is
 * tried again (`isRetryable`). `docs/errors.md` has one line per code; a test holds the two together.
 */

export type ErrorCategory =
  | 'invalid'
  | 'unauthenticated'
  | 'forbidden'
  | 'not-found'
  | 'conflict'
  | 'too-large'
  | 'unsafe'
  | 'too-many'
  | 'cancelled'
  | 'unavailable'
  | 'timeout'
  | 'failed'
  | 'internal';

interface CatalogueEntry {
  readonly category: ErrorCategory;
  readonly title: string;
}

const define = <const T extends Record<string, CatalogueEntry>>(entries: T): T => Object.freeze(entries);

export const catalogue = define({
  // Requests
  VALIDATION_FAILED: { category: 'invalid', title: 'The request does not have the expected form' },
  BODY_UNREADABLE: { category: 'invalid', title: 'The request body cannot be read' },
  BODY_TOO_LARGE: { category: 'too-large', title: 'The request body is larger than allowed' },
  INVALID_CURSOR: { category: 'invalid', title: 'The page cursor is not one of ours' },
  ROUTE_NOT_FOUND: { category: 'not-found', title: 'There is no such route' },
  RATE_LIMITED: { category: 'too-many', title: 'Too many requests' },
  IDEMPOTENCY_KEY_REUSED: { category: 'unsafe', title: 'The idempotency key was used with another body' },
  IDEMPOTENCY_KEY_IN_USE: {
    category: 'conflict',
    title: 'The first request with this idempotency key is not answered yet',
  },
  TOKEN_MISSING: { category: 'unauthenticated', title: 'A bearer token is needed' },
  TOKEN_INVALID: { category: 'unauthenticated', title: 'The bearer token is not known' },
  TOKEN_EXPIRED: { category: 'unauthenticated', title: 'The bearer token has expired' },
  SCOPE_MISSING: { category: 'forbidden', title: 'The token lacks a scope' },
  DATABASE_FORBIDDEN: { category: 'forbidden', title: 'The token is not for this database' },

  // Configuration
  CONFIG_INVALID: { category: 'invalid', title: 'The configuration has faults' },

  // Records
  DATABASE_UNKNOWN: { category: 'not-found', title: 'No database of this name is registered' },
  JOB_NOT_FOUND: { category: 'not-found', title: 'There is no such job' },
  BUNDLE_NOT_FOUND: { category: 'not-found', title: 'There is no such bundle' },
  PLAN_NOT_FOUND: { category: 'not-found', title: 'There is no such plan' },
  DEPLOYMENT_NOT_FOUND: { category: 'not-found', title: 'There is no such deployment' },
  BACKUP_NOT_FOUND: { category: 'not-found', title: 'There is no such backup' },
  HEALTH_CHECK_NOT_FOUND: { category: 'not-found', title: 'There is no such health check' },
  ROLLBACK_TEST_NOT_FOUND: { category: 'not-found', title: 'There is no such rollback test' },
  DRIFT_NOT_CHECKED: { category: 'not-found', title: 'No drift check has been made' },
  WAY_BACK_NOT_FOUND: { category: 'not-found', title: 'No way back is known' },
  ROLLBACK_NOT_FOUND: { category: 'not-found', title: 'There is no such rollback' },
  RECOVERY_NOT_FOUND: { category: 'not-found', title: 'There is no such recovery' },
  ALERT_NOT_FOUND: { category: 'not-found', title: 'There is no such alert' },
  MIGRATION_NOT_FOUND: { category: 'not-found', title: 'There is no such migration' },
  VALIDATION_NOT_FOUND: { category: 'not-found', title: 'There is no such validation' },
  FLAG_NOT_FOUND: { category: 'not-found', title: 'There is no such flag' },

  // Jobs
  DATABASE_BUSY: { category: 'conflict', title: 'Another operation runs on this database' },
  JOB_ALREADY_FINISHED: { category: 'conflict', title: 'The job has finished' },
  JOB_STILL_RUNNING: { category: 'timeout', title: 'The job has not finished yet' },
  JOB_CANCELLED: { category: 'cancelled', title: 'The job was cancelled' },
  JOB_INTERRUPTED: { category: 'failed', title: 'The worker that ran the job is gone' },
  JOB_SUPERSEDED: { category: 'conflict', title: 'Another worker has taken the job over' },
  QUEUE_UNAVAILABLE: { category: 'unavailable', title: 'The queue cannot be reached' },

  // PostgreSQL
  DATABASE_UNREACHABLE: { category: 'unavailable', title: 'The database cannot be reached' },
  DATABASE_POOLED: { category: 'unsafe', title: 'The URL leads to a transaction pooler' },
  CONTROL_DATABASE_UNREACHABLE: { category: 'unavailable', title: 'The control database cannot be reached' },
  CONTROL_DATABASE_FOREIGN: {
    category: 'unsafe',
    title: "The control database holds another application's migrations",
  },
  PERMISSION_DENIED: { category: 'unsafe', title: 'The database role lacks a right' },
  LOCK_TIMEOUT: { category: 'timeout', title: 'A lock was not granted in time' },
  STATEMENT_TIMEOUT: { category: 'timeout', title: 'A statement took longer than its limit' },
  SERIALIZATION_FAILURE: {
    category: 'unavailable',
    title: 'PostgreSQL ended a transaction that conflicted with another',
  },
  STATEMENT_FAILED: { category: 'failed', title: 'A statement failed' },
  PROGRAM_MISSING: { category: 'unsafe', title: "One of PostgreSQL's programs is missing" },
  PROGRAM_TOO_OLD: { category: 'unsafe', title: "PostgreSQL's client programs are older than the server" },

  // Migrations
  MIGRATIONS_DIRECTORY_MISSING: { category: 'unsafe', title: 'The migrations directory does not exist' },
  MIGRATIONS_DIRECTORY_EMPTY: { category: 'unsafe', title: 'The migrations directory holds no migration' },
  MIGRATION_LOCK_MISSING: { category: 'unsafe', title: 'migration_lock.toml is missing' },
  MIGRATION_PROVIDER_UNSUPPORTED: { category: 'unsafe', title: 'The migrations are not for PostgreSQL' },
  MIGRATION_SQL_MISSING: { category: 'unsafe', title: 'A migration directory has no migration.sql' },
  MIGRATION_UNPARSABLE: { category: 'unsafe', title: 'A migration does not parse' },
  MIGRATION_DROPS_LOCKS: { category: 'unsafe', title: "A migration would let go of Switchback's locks" },
  MIGRATION_DIVERGED: { category: 'conflict', title: 'An applied migration was edited' },
  MIGRATION_MISSING: { category: 'conflict', title: 'An applied migration is missing from the bundle' },
  MIGRATION_OUT_OF_ORDER: { category: 'conflict', title: 'A pending migration sorts before an applied one' },
  MIGRATION_FAILED_BEFORE: { category: 'conflict', title: 'An earlier migration failed and is not resolved' },
  MIGRATION_ROLLED_BACK: { category: 'conflict', title: 'A pending migration was rolled back before' },
  MIGRATION_HALF_APPLIED: { category: 'failed', title: 'A migration is half applied' },
  MIGRATION_NOT_APPLIED: {
    category: 'conflict',
    title: 'The migration is not in the state that this operation is for',
  },
  BASELINE_REQUIRED: { category: 'conflict', title: 'The database has tables but no migration history' },
  BASELINE_NOT_NEEDED: { category: 'conflict', title: 'The database already has a migration history' },
  STEP_UNKNOWN: { category: 'failed', title: 'It cannot be told whether a step took effect' },
  ROLLBACK_NOT_LAST: { category: 'conflict', title: 'Later migrations are applied on top' },
  SCHEMA_DRIFTED: { category: 'unsafe', title: 'The database is not what its migrations make' },
  DRIFT_UNKNOWN: { category: 'unsafe', title: 'What the migrations make is not known' },
  REHEARSAL_FAILED: { category: 'unsafe', title: 'A migration does not run in the rehearsal' },
  ROLLBACK_MISSING: { category: 'unsafe', title: 'There is no way back that may be used' },
  ROLLBACK_NOT_PROVEN: { category: 'unsafe', title: 'The way back of a migration is not proven' },
  ROLLBACK_LOSES_DATA: { category: 'unsafe', title: 'What a migration removed cannot be put back' },
  ROLLBACK_DUPLICATES: { category: 'conflict', title: 'What was unique is not unique any more' },
  ROLLBACK_PARTITION_TAKEN: { category: 'conflict', title: 'Rows of a partition are in the default one' },
  ROLLBACK_UNFINISHED: { category: 'conflict', title: 'A migration is half taken back' },
  RESUME_REFUSED: { category: 'conflict', title: 'The migration cannot be resumed' },
  PLAN_STALE: { category: 'conflict', title: 'The database or the bundle changed since the plan was made' },
  PLAN_HAS_VIOLATIONS: { category: 'unsafe', title: 'A rule forbids what a migration does' },
  ALLOWANCE_UNKNOWN: { category: 'unsafe', title: 'An allowance names something that cannot be allowed' },

  // Analysis
  ANALYSIS_BUSY: { category: 'unavailable', title: 'Too many analyses are waiting' },
  ANALYSIS_TIMEOUT: { category: 'unsafe', title: 'The analysis took longer than its limit' },
  ANALYSIS_FAILED: { category: 'unsafe', title: 'The analysis broke off' },
  PREVIOUS_SCHEMA_UNREADABLE: {
    category: 'unsafe',
    title: 'The schema of the release that still runs cannot be read',
  },

  // Bundles
  BUNDLE_INVALID: { category: 'invalid', title: 'The upload is not an acceptable bundle' },
  BUNDLE_TOO_LARGE: { category: 'too-large', title: 'The bundle is larger than allowed' },
  BUNDLE_UPLOAD_FORBIDDEN: { category: 'forbidden', title: 'This database does not take uploaded bundles' },
  MIGRATION_FILE_INVALID: { category: 'unsafe', title: 'A file beside a migration cannot be used' },

  // Deployments
  DATA_MIGRATION_REQUIRED: {
    category: 'unsafe',
    title: 'A migration waits for a data migration that has not been validated',
  },
  REPLICATION_LAG: { category: 'unsafe', title: 'A replica lags too far behind' },
  BLOCKING_TRANSACTION: { category: 'unsafe', title: 'A long transaction would block the deployment' },
  PUBLICATION_FOR_ALL_TABLES: { category: 'unsafe', title: 'A publication covers all tables' },
  VERIFICATION_FAILED: { category: 'failed', title: 'The database is not as the plan says' },
  PROBE_FAILED: { category: 'failed', title: 'The application does not answer as it should' },

  // Validation
  TABLE_NOT_FOUND: { category: 'unsafe', title: 'There is no such table' },
  MAPPING_INVALID: { category: 'unsafe', title: 'A column or an expression of the mapping cannot be used' },
  KEY_UNUSABLE: { category: 'unsafe', title: 'There is no key by which rows can be told apart' },
  TYPES_NOT_COMPARABLE: { category: 'unsafe', title: 'Two columns have types that cannot be compared' },
  TABLE_CHANGED: { category: 'conflict', title: 'A table was changed while it was read' },
  DATA_DIFFERS: { category: 'failed', title: 'Two tables do not hold the same rows' },

  // Data migrations
  TABLE_BUSY: { category: 'conflict', title: 'A data migration or a deployment works on the table' },
  POLICY_FORBIDS: { category: 'unsafe', title: "The database's policy does not allow it" },
  ROWS_LEFT: { category: 'failed', title: 'Rows still need the data migration' },
  ROWS_AT_FAULT: { category: 'failed', title: 'More rows are at fault than are tolerated' },
  SHADOW_REFUSED: { category: 'unsafe', title: 'No other table can take the place of this one' },
  SWAP_NOT_UNDOABLE: { category: 'conflict', title: 'The swap of two tables cannot be undone' },
  DATA_MIGRATION_CHANGED: {
    category: 'conflict',
    title: 'The data migration is not the one that has begun',
  },
  DATA_MIGRATION_ENDED: { category: 'conflict', title: 'The data migration has ended' },
  QUARANTINED_ROW_NOT_FOUND: { category: 'not-found', title: 'There is no such row in the quarantine' },
  DATA_MIGRATION_NOT_FOUND: { category: 'not-found', title: 'There is no such data migration' },

  // Transforms
  TRANSFORM_NOT_FOUND: { category: 'unsafe', title: 'There is no such transform' },
  TRANSFORM_UNUSABLE: { category: 'unsafe', title: 'The module of a transform cannot be used' },
  TRANSFORM_CHANGED: {
    category: 'conflict',
    title: 'A transform was changed since the data migration began',
  },
  TRANSFORM_FAILED: { category: 'failed', title: 'A transform failed' },
  TRANSFORM_VALUE_REFUSED: {
    category: 'failed',
    title: 'A transform gave a value that its column cannot hold',
  },
  TRANSFORM_TIMEOUT: { category: 'failed', title: 'A transform took longer than its limit' },
  TRANSFORM_OUT_OF_MEMORY: { category: 'failed', title: 'A transform needed more memory than its limit' },
  BATCH_TOO_LARGE: { category: 'failed', title: 'A batch holds too many bytes' },

  // Flags
  FLAG_TAKEN: { category: 'conflict', title: 'The flag belongs to something else' },

  // Scratch databases
  SCRATCH_DENIED: { category: 'unsafe', title: 'No scratch database may be made' },
  SCHEMA_COPY_FAILED: { category: 'failed', title: 'The schema could not be copied' },

  // Backups
  BACKUP_FAILED: { category: 'failed', title: 'The backup failed' },
  BACKUP_UNREADABLE: { category: 'failed', title: 'The backup cannot be read back' },
  STORE_UNREACHABLE: { category: 'unavailable', title: 'The backup store cannot be reached' },
  STORE_FULL: { category: 'failed', title: 'The backup store is full' },

  // The vault
  VAULT_FULL: { category: 'unsafe', title: 'The vault would hold more than its limit' },
  VAULT_CANNOT_KEEP: { category: 'unsafe', title: 'What a statement removes cannot be kept' },
  VAULT_ENTRY_NOT_FOUND: { category: 'not-found', title: 'There is no such entry in the vault' },
  VAULT_ENTRY_REMOVED: { category: 'conflict', title: 'The data of this vault entry is gone' },
  VAULT_TARGET_MISSING: { category: 'conflict', title: 'There is nothing to put the kept data back into' },

  // Health and alerts
  CHECK_TIMEOUT: { category: 'timeout', title: 'A health check did not answer in time' },
  SINK_REFUSED: { category: 'failed', title: 'The alert sink refused the delivery' },
  SINK_UNREACHABLE: { category: 'unavailable', title: 'The alert sink cannot be reached' },

  // Embedded PostgreSQL
  EMBEDDED_UNAVAILABLE: { category: 'unsafe', title: 'There is no embedded PostgreSQL for this platform' },
  EMBEDDED_START_FAILED: { category: 'failed', title: 'The embedded PostgreSQL did not start' },

  INTERNAL: { category: 'internal', title: 'Something went wrong inside Switchback' },
});

export type ErrorCode = keyof typeof catalogue;

/** JSON-safe facts about one occurrence. They are shown to the caller: never put a secret here. */
export type ErrorDetails = Readonly<Record<string, unknown>>;

/** The only error that Switchback throws on purpose. `message` says what happened, where, and what to do next. */
export class AppError extends Error {
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'AppError';
    this.code = code;
    this.details = details;
  }

  get category(): ErrorCategory {
    return catalogue[this.code].category;
  }

  get title(): string {
    return catalogue[this.code].title;
  }

  /** The form in which an error is stored on a job and sent in events and alerts. */
  toRecord(): ErrorRecord {
    return { code: this.code, title: this.title, detail: this.message, details: this.details };
  }
}

export interface ErrorRecord {
  readonly code: ErrorCode;
  readonly title: string;
  readonly detail: string;
  readonly details: ErrorDetails;
}

/** Anything that was thrown, as an AppError: what is not one already becomes `INTERNAL` with the cause kept. */
export function toAppError(thrown: unknown): AppError {
  if (thrown instanceof AppError) return thrown;
  const message = 'Something went wrong inside Switchback; the log has the cause.';
  return new AppError('INTERNAL', message, {}, { cause: thrown });
}

const statuses: Record<ErrorCategory, number> = {
  invalid: 400,
  unauthenticated: 401,
  forbidden: 403,
  'not-found': 404,
  conflict: 409,
  cancelled: 409,
  'too-large': 413,
  unsafe: 422,
  'too-many': 429,
  failed: 500,
  internal: 500,
  unavailable: 503,
  timeout: 504,
};

/** HTTP status of a code. */
export const httpStatus = (code: ErrorCode): number => statuses[catalogue[code].category];

/** Whether a job that ended in this error may be tried again by the queue: outages and timeouts only. */
export const isRetryable = (code: ErrorCode): boolean =>
  catalogue[code].category === 'unavailable' || catalogue[code].category === 'timeout';
