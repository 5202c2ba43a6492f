import type { JobKind } from '../define-job.ts';
import { alertDelivery } from './alert-delivery.ts';
import { backup } from './backup.ts';
import { dataMigration } from './data-migration.ts';
import { dataMigrationDryRun } from './data-migration-dry-run.ts';
import { dataMigrationRetry } from './data-migration-retry.ts';
import { dataMigrationUndo } from './data-migration-undo.ts';
import { deployment } from './deployment.ts';
import { driftCheck } from './drift-check.ts';
import { healthCheck } from './health-check.ts';
import { recovery } from './recovery.ts';
import { rollback } from './rollback.ts';
import { rollbackTest } from './rollback-test.ts';
import { validation } from './validation.ts';
import { vaultExpiry } from './vault-expiry.ts';

/** Each kind parses its payload by its own schema before it runs; to the list, payloads are unknown. */
export const kinds = [
  deployment,
  rollback,
  rollbackTest,
  driftCheck,
  recovery,
  backup,
  validation,
  dataMigration,
  dataMigrationDryRun,
  dataMigrationRetry,
  dataMigrationUndo,
  healthCheck,
  alertDelivery,
  vaultExpiry,
] as readonly JobKind[];
