/**
 * Parses and analyses in a thread of its own, one request after another: a crash, an endless loop or hunger for memory
 * there fails one request, and neither the API nor a worker.
 */
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Logger } from 'pino';
import { AppError } from '../../errors.ts';
import type { Plan } from '../../migrations/plan.ts';
import { threadEntry } from '../../thread-entry.ts';
import type { AnalysisAnswer, AnalysisRequest, PlanRequest, Task } from './analysis-tasks.ts';
import type { ThreadAnswer, ThreadData } from './analysis-thread.ts';
import { readRules, ruleIds } from './custom-rules.ts';

export interface Analyst {
  /** Ids of all rules, the configured ones among them. */
  readonly rules: ReadonlySet<string>;
  /** @throws AppError `ANALYSIS_TIMEOUT`, `ANALYSIS_FAILED`, `ANALYSIS_BUSY`, `PREVIOUS_SCHEMA_UNREADABLE` */
  analyse(request: AnalysisRequest): Promise<AnalysisAnswer>;
  /** The plan of all that is pending, with its analysis. @throws AppError those of `analyse` */
  plan(request: PlanRequest): Promise<Plan>;
  /** Ends the thread; what waits for it fails. */
  close(): Promise<void>;
}

export interface AnalystOptions {
  readonly log: Logger;
  /** The module of the configured rules. */
  readonly rules?: string | null | undefined;
  /** For one request, without the time that it waits. */
  readonly limitMs?: number;
  readonly memoryMb?: number;
  /** Requests that may wait, of each kind. */
  readonly maxWaiting?: number;
  readonly entry?: URL;
}

/** Ten megabytes of rows take some five seconds; a thousand migrations less than one. */
const defaults = { limitMs: 20_000, memoryMb: 1_024, maxWaiting: 32 };
/** Loading the thread's modules, on a machine that is busy. */
const startWithinMs = 60_000;

/** @throws AppError `CONFIG_INVALID` when the rules cannot be loaded */
export async function openAnalyst(options: AnalystOptions): Promise<Analyst> {
  const { rules = null } = options;
  const known = ruleIds(rules === null ? [] : await readRules(rules));
  const desk = new Desk(options);
  return {
    rules: known,
    analyse: (request) => desk.ask<AnalysisAnswer>({ kind: 'analyse', request }),
    plan: (request) => desk.ask<Plan>({ kind: 'plan', request }),
    close: () => desk.close(),
  };
}

interface Pending {
  readonly task: Task;
  readonly settle: (outcome: Promise<unknown>) => void;
}

/** Where requests wait for the one thread. */
class Desk {
  readonly #options: AnalystOptions;
  readonly #waiting: Pending[] = [];
  #thread: Thread | null = null;
  #serving = false;
  #closed = false;

  constructor(options: AnalystOptions) {
    this.#options = options;
  }

  async ask<Answer>(task: Task): Promise<Answer> {
    const { maxWaiting = defaults.maxWaiting } = this.#options;
    if (this.#closed) throw closed();
    if (this.#waiting.filter(({ task: { kind } }) => kind === task.kind).length >= maxWaiting)
      throw new AppError(
        'ANALYSIS_BUSY',
        `${maxWaiting} analyses are waiting already. Nothing was done. Ask again in a moment.`,
        { maxWaiting },
      );
    return new Promise<Answer>((resolve) => {
      this.#waiting.push({ task, settle: (outcome) => resolve(outcome as Promise<Answer>) });
      if (!this.#serving) void this.#serve();
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const { settle } of this.#waiting.splice(0)) settle(Promise.reject(closed()));
    await this.#thread?.end(closed());
  }

  /** Goes on as long as something waits. A deployment's plan goes before a reader's report. */
  async #serve(): Promise<void> {
    this.#serving = true;
    for (;;) {
      const plan = this.#waiting.findIndex(({ task: { kind } }) => kind === 'plan');
      const [pending] = this.#waiting.splice(Math.max(plan, 0), 1);
      if (pending === undefined) break;
      const outcome = this.#perform(pending.task);
      pending.settle(outcome);
      await Promise.allSettled([outcome]);
    }
    this.#serving = false;
  }

  async #perform(task: Task): Promise<unknown> {
    if (this.#thread === null || this.#thread.ended) this.#thread = new Thread(this.#options);
    return this.#thread.perform(task);
  }
}

/** One thread, from its start to its end; it does one task at a time. */
class Thread {
  readonly #worker: Worker;
  readonly #options: AnalystOptions;
  #await: ((answer: ThreadAnswer | AppError) => void) | null = null;
  #ready = false;
  #ended: AppError | null = null;

  constructor(options: AnalystOptions) {
    const { rules = null, memoryMb = defaults.memoryMb, entry = ownEntry() } = options;
    this.#options = options;
    this.#worker = new Worker(threadEntry(entry), {
      workerData: { rules } satisfies ThreadData,
      resourceLimits: { maxOldGenerationSizeMb: memoryMb },
      name: 'switchback:analysis',
    });
    this.#worker.unref();
    this.#worker.on('message', (answer: ThreadAnswer) => this.#answered(answer));
    this.#worker.on('error', (error: Error & { code?: string }) => {
      options.log.error({ err: error }, 'the analysis thread has failed');
      void this.end(failed(error.code === 'ERR_WORKER_OUT_OF_MEMORY' ? outOfMemory(memoryMb) : 'it crashed'));
    });
    this.#worker.on('exit', () => void this.end(failed('its thread ended')));
  }

  get ended(): boolean {
    return this.#ended !== null;
  }

  async perform(task: Task): Promise<unknown> {
    const { limitMs = defaults.limitMs } = this.#options;
    // A request keeps the process alive, an idle thread does not.
    this.#worker.ref();
    try {
      if (!this.#ready) await this.#next(startWithinMs, failed('its thread did not start in time'));
      this.#ready = true;
      this.#worker.postMessage(task);
      return this.#unpack(await this.#next(limitMs, timedOut(limitMs)));
    } finally {
      this.#worker.unref();
    }
  }

  /** Ends it, and whatever it is at. */
  async end(reason: AppError): Promise<void> {
    if (this.#ended !== null) return;
    this.#ended = reason;
    this.#answered(reason);
    await this.#worker.terminate();
  }

  #answered(answer: ThreadAnswer | AppError): void {
    const settle = this.#await;
    this.#await = null;
    settle?.(answer);
  }

  /** The next answer. Without one in time the thread is ended: nothing else stops a loop. */
  #next(withinMs: number, late: AppError): Promise<ThreadAnswer> {
    return new Promise((resolve, reject) => {
      if (this.#ended !== null) {
        reject(this.#ended);
        return;
      }
      const timer = setTimeout(() => void this.end(late), withinMs);
      this.#await = (answer) => {
        clearTimeout(timer);
        if (answer instanceof AppError) reject(answer);
        else resolve(answer);
      };
    });
  }

  #unpack(answer: ThreadAnswer): unknown {
    if ('done' in answer) return answer.done;
    if ('refused' in answer) {
      const { code, detail, details } = answer.refused;
      throw new AppError(code, detail, details);
    }
    this.#options.log.error({ answer }, 'the analysis has failed');
    throw failed('the analyser met what it was not made for');
  }
}

/** A source, or what was built from it: as this file is. */
const ownEntry = (): URL =>
  new URL(`./analysis-thread${path.extname(import.meta.filename)}`, import.meta.url);

const failed = (reason: string): AppError =>
  new AppError(
    'ANALYSIS_FAILED',
    `The analysis broke off: ${reason}. Nothing was done. The log has the cause.`,
    { reason },
  );

const outOfMemory = (memoryMb: number): string =>
  `it needed more than ${memoryMb} MB of memory; analyse fewer migrations at once, or take bulk data out of them`;

const timedOut = (limitMs: number): AppError =>
  new AppError(
    'ANALYSIS_TIMEOUT',
    `The analysis took longer than ${limitMs / 1_000} s and was ended. Nothing was done. Analyse fewer migrations at once, or take bulk data out of them.`,
    { limitMs },
  );

const closed = (): AppError => new AppError('ANALYSIS_BUSY', 'Switchback is stopping. Nothing was done.');
