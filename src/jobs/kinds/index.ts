import type { JobKind } from '../define-job.ts';
import { alertDelivery } from './alert-delivery.ts';
import { backup } from './backup.ts';
import { deployment } from './deployment.ts';
import { healthCheck } from './health-check.ts';
import { recovery } from './recovery.ts';

export const kinds = [deployment, recovery, backup, healthCheck, alertDelivery] as const;

/** A kind whose payload is checked when it is run, and so may be any. */
// biome-ignore lint/suspicious/noExplicitAny: a list of kinds of different payloads; the runner parses each by its own schema
export type AnyJobKind = JobKind<string, any, any>;
