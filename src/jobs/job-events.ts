import type { Logger } from 'pino';
import type { PrismaClient } from '../db/control/generated/client.ts';
import { type Attempt, appendEvent, type EventBody } from '../db/control/job-rows.ts';
import type { Progress, ProgressReport } from './define-job.ts';
import { percentOf, throttle } from './progress.ts';

/** Writes the events of one attempt, one after the other. */
export class JobEvents {
  readonly #prisma: PrismaClient;
  readonly #attempt: Attempt;
  readonly #log: Logger;
  readonly #onLost: () => void;
  #steps: readonly string[] = [];
  #written: Promise<void> = Promise.resolve();

  constructor(prisma: PrismaClient, attempt: Attempt, log: Logger, onLost: () => void) {
    this.#prisma = prisma;
    this.#attempt = attempt;
    this.#log = log;
    this.#onLost = onLost;
  }

  started(steps: readonly string[], attempt: number): void {
    this.#steps = steps;
    this.#append('started', { attempt, steps });
  }

  readonly note = (message: string, data: Record<string, unknown> = {}): void => {
    this.#append('note', { message, ...data });
  };

  readonly step = async <T>(name: string, work: (progress: Progress) => Promise<T>): Promise<T> => {
    const index = Math.max(0, this.#steps.indexOf(name));
    const place = { step: name, index: index + 1, of: this.#steps.length };
    const startedAt = performance.now();
    this.#append('step-started', place, name, percentOf(index, this.#steps.length, 0));
    const { progress, flush } = throttle((report) => this.#progress(place, index, report));
    try {
      const result = await work(progress);
      flush();
      this.#append(
        'step-finished',
        { ...place, durationMs: Math.round(performance.now() - startedAt) },
        name,
        percentOf(index, this.#steps.length, 1),
      );
      return result;
    } catch (error) {
      flush();
      throw error;
    }
  };

  /** Resolves when every event so far is written. */
  flush(): Promise<void> {
    return this.#written;
  }

  #progress(place: EventBody & { step: string }, index: number, report: ProgressReport): void {
    const fraction = report.total === undefined || report.total === 0 ? 0 : report.done / report.total;
    const percent = percentOf(index, this.#steps.length, fraction);
    this.#append('progress', { ...place, ...report, percent }, place.step, percent);
  }

  #append(type: string, body: EventBody, step?: string, percent?: number): void {
    this.#written = this.#written.then(async () => {
      try {
        const mine = await appendEvent(this.#prisma, this.#attempt, {
          type,
          body,
          ...(step === undefined ? {} : { step }),
          ...(percent === undefined ? {} : { percent }),
        });
        if (!mine) this.#onLost();
      } catch (error) {
        // Progress is not worth a job; the heartbeat decides whether the control database is gone for good.
        this.#log.warn({ err: error, type }, 'an event could not be written');
      }
    });
  }
}
