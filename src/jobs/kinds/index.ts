import type { JobKind } from '../define-job.ts';
import { alertDelivery } from './alert-delivery.ts';
import { backup } from './backup.ts';
import { deployment } from './deployment.ts';
import { healthCheck } from './health-check.ts';
import { recovery } from './recovery.ts';

/** Each kind parses its payload by its own schema before it runs; to the list, payloads are unknown. */
export const kinds = [deployment, recovery, backup, healthCheck, alertDelivery] as readonly JobKind[];
