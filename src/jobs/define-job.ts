import type { Logger } from 'pino';
import type { z } from 'zod';
import type { ControlTransaction } from '../db/control/control.ts';
import type { NewRecord } from '../db/control/job-rows.ts';
import type { JobDependencies } from './dependencies.ts';

/**
 * `operations`: what somebody waits for; `data-migrations`: what may run for days, and must keep no deployment waiting;
 * `signals`: health checks and deliveries.
 */
export const queueNames = ['operations', 'data-migrations', 'signals'] as const;
export type QueueName = (typeof queueNames)[number];

/** A job that is about to be inserted. */
export interface NewJob<Payload> {
  readonly id: string;
  readonly database: string | null;
  readonly payload: Payload;
  readonly requestedBy: string;
}

/** What a step reports while it works. `done` and `total` are in `unit`s (statements, bytes, rows …). */
export interface ProgressReport {
  readonly done: number;
  readonly total?: number;
  readonly unit?: string;
  readonly message?: string;
}

export type Progress = (report: ProgressReport) => void;

/** What a kind's `run` may know of the job that it serves. */
export interface RunningJob {
  readonly id: string;
  readonly kind: string;
  /** Name of the registered database, or null for jobs that concern none. */
  readonly database: string | null;
  /** 1 for the first attempt. A value above 1 after an interruption means: look for what a predecessor left. */
  readonly attempt: number;
  /** Name of the token that asked for the job. */
  readonly requestedBy: string;
}

export interface JobContext<Payload, Step extends string = string> {
  readonly job: RunningJob;
  readonly payload: Payload;
  /** Aborts when the job is cancelled, its worker shuts down, or another worker has taken the job over. */
  readonly signal: AbortSignal;
  readonly log: Logger;
  readonly deps: JobDependencies;
  /** Runs one named part of the job: writes `step-started` and `step-finished`, and throttles its progress. */
  step<T>(name: Step, work: (progress: Progress) => Promise<T>): Promise<T>;
  /** Writes one event of type `note` at once: something a reader of the log wants to know. */
  note(message: string, data?: Record<string, unknown>): void;
}

/** What `run` returns where the job is to rest, in the state `paused`, until somebody resumes it. */
export class Paused {
  /** Asked in the transaction that pauses the job: false where it was resumed by then, and is run again at once. */
  readonly stands: (transaction: ControlTransaction) => Promise<boolean>;

  constructor(stands: Paused['stands']) {
    this.stands = stands;
  }
}

/**
 * One type of job. To add one: a file in `kinds/`, a line in `kinds/index.ts`.
 * `run` returns the job's result (JSON), or `Paused`, or throws an AppError; its category decides whether it is tried
 * again.
 */
export interface JobKind<Name extends string = string, Payload = unknown, Step extends string = string> {
  readonly name: Name;
  readonly queue: QueueName;
  readonly payload: z.ZodType<Payload>;
  readonly steps: readonly Step[];
  /** Whether jobs of this kind exclude other exclusive ones on the same database. */
  readonly exclusive: boolean;
  /** How many attempts outages are given in all (see `isRetryable`). */
  readonly attempts: number;
  /** Pause before an attempt that follows a retryable error, in milliseconds. */
  backoffMs(attempt: number): number;
  /** What becomes of a job whose worker died or shut down: run again, or failed with `JOB_INTERRUPTED`. */
  readonly whenInterrupted: 'resume' | 'fail';
  /** The record that belongs to a new job of this kind and is inserted with it; jobs without one are their own record. */
  record?(job: NewJob<Payload>): NewRecord;
  run(context: JobContext<Payload, Step>): Promise<unknown>;
}

export const defineJob = <const Name extends string, Payload, const Step extends string>(
  kind: JobKind<Name, Payload, Step>,
): JobKind<Name, Payload, Step> => Object.freeze(kind);
