import type { Logger } from 'pino';
import type { PrismaClient } from '../db/control/generated/client.ts';
import { type Attempt, appendEvent, type EventBody } from '../db/control/job-rows.ts';
import type { Progress, ProgressReport } from './define-job.ts';
import { persist } from './persist.ts';
import { percentOf, throttle } from './progress.ts';

interface JobEventsOptions {
  readonly log: Logger;
  /** For how long an event is tried to be written. Progress is tried once: the next report says more. */
  readonly patienceMs: number;
  /** Another attempt owns the job. */
  readonly onLost: () => void;
}

/** Writes the events of one attempt, one after the other. */
export class JobEvents {
  readonly #prisma: PrismaClient;
  readonly #attempt: Attempt;
  readonly #options: JobEventsOptions;
  #steps: readonly string[] = [];
  #written: Promise<void> = Promise.resolve();

  constructor(prisma: PrismaClient, attempt: Attempt, options: JobEventsOptions) {
    this.#prisma = prisma;
    this.#attempt = attempt;
    this.#options = options;
  }

  started(steps: readonly string[], attempt: number): void {
    this.#steps = steps;
    this.#append({ type: 'started', body: { attempt, steps } });
  }

  readonly note = (message: string, data: Record<string, unknown> = {}): void => {
    this.#append({ type: 'note', body: { ...data, message } });
  };

  readonly step = async <T>(name: string, work: (progress: Progress) => Promise<T>): Promise<T> => {
    const of = this.#steps.length;
    const index = Math.max(0, this.#steps.indexOf(name));
    const place = { step: name, index: index + 1, of };
    const startedAt = performance.now();
    this.#append({ type: 'step-started', body: place, step: name, percent: percentOf(index, of, 0) });
    const { progress, flush } = throttle((report) => this.#progress(place, report));
    try {
      const result = await work(progress);
      flush();
      const durationMs = Math.round(performance.now() - startedAt);
      const body = { ...place, durationMs };
      this.#append({ type: 'step-finished', body, step: name, percent: percentOf(index, of, 1) });
      return result;
    } catch (error) {
      flush();
      throw error;
    }
  };

  /** Resolves when every event so far is written, or given up. */
  flush(): Promise<void> {
    return this.#written;
  }

  #progress(place: { step: string; index: number; of: number }, report: ProgressReport): void {
    const fraction = report.total === undefined || report.total === 0 ? 0 : report.done / report.total;
    const percent = percentOf(place.index - 1, place.of, fraction);
    this.#append({ type: 'progress', body: { ...place, ...report }, step: place.step, percent });
  }

  #append(event: { type: string; body: EventBody; step?: string; percent?: number }): void {
    const patienceMs = event.type === 'progress' ? 0 : this.#options.patienceMs;
    this.#written = this.#written.then(async () => {
      try {
        const mine = await persist(patienceMs, () =>
          appendEvent(this.#prisma, this.#attempt, event, 'running'),
        );
        if (!mine) this.#options.onLost();
      } catch (error) {
        // Not worth a job: the heartbeat decides whether the control database is gone for good.
        this.#options.log.warn({ err: error, type: event.type }, 'an event could not be written');
      }
    });
  }
}
