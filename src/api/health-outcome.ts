import { setTimeout as pause } from 'node:timers/promises';
import { outageOf } from '../db/control/outage.ts';
import { AppError, toAppError } from '../errors.ts';
import type { Finding, Outcome } from './schemas/health.ts';

const checkWithinMs = 3_000;

/** What the work gives, or `late()` when it takes longer; the work itself goes on. */
export async function within<T>(ms: number, work: Promise<T>, late: () => T): Promise<T> {
  const inTime = new AbortController();
  try {
    return await Promise.race([work, pause(ms, undefined, { signal: inTime.signal }).then(late)]);
  } finally {
    inTime.abort();
  }
}

/** Runs one check; its outage is its finding, and so is its silence. */
export async function examine(work: () => Promise<unknown>): Promise<Finding> {
  const startedAt = performance.now();
  const time = new Date().toISOString();
  const pass = async (): Promise<Finding> => {
    await work();
    return { status: 'pass', time, durationMs: Math.round(performance.now() - startedAt) };
  };
  const late = (): Finding =>
    failing(new AppError('CHECK_TIMEOUT', `There was no answer within ${checkWithinMs} ms.`));
  return within(checkWithinMs, pass().catch(failing), late);
}

export function failing(thrown: unknown): Finding {
  const { code, message } = toAppError(outageOf(thrown));
  return { status: 'fail', output: `${code}: ${message}`, time: new Date().toISOString(), durationMs: 0 };
}

/** The findings together: as bad as the worst of them. */
export function combine(findings: Readonly<Record<string, Finding>>): Outcome {
  const statuses = new Set(Object.values(findings).map((finding) => finding.status));
  return {
    status: statuses.has('fail') ? 'fail' : statuses.has('warn') ? 'warn' : 'pass',
    checks: Object.fromEntries(Object.entries(findings).map(([key, finding]) => [key, [finding]])),
  };
}
