import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { AppError, toAppError } from '../../errors.ts';
import { threadEntry } from '../../thread-entry.ts';
import { findModule, type TransformModule } from './find-module.ts';
import type { TransformerOptions, TransformLimits } from './request.ts';
import type { Done, Task, ThreadAnswer, ThreadData } from './thread.ts';

/** Loading the module and ours, on a machine that is busy. */
const startWithinMs = 60_000;

/** One thread with the module, from its start to its end; it does one task at a time. */
export class Thread {
  readonly #worker: Worker;
  readonly #module: string;
  readonly #limits: TransformLimits;
  #await: ((answer: ThreadAnswer | AppError) => void) | null = null;
  readonly #ready: Promise<void>;
  #loaded = false;
  #ended: AppError | null = null;

  constructor({ module, shape, context }: TransformerOptions, limits: TransformLimits) {
    this.#module = module.name;
    this.#limits = limits;
    this.#worker = new Worker(threadEntry(ownEntry()), {
      workerData: { module: pathToFileURL(module.file).href, shape, context } satisfies ThreadData,
      // Our environment holds secrets; what the module prints might hold rows.
      env: {},
      argv: [],
      stdout: true,
      stderr: true,
      resourceLimits: { maxOldGenerationSizeMb: limits.memoryMb },
      name: `switchback:transform:${module.name}`,
    });
    this.#worker.stdout.resume();
    this.#worker.stderr.resume();
    this.#worker.on('message', (answer: ThreadAnswer) => this.#answered(answer));
    this.#worker.on('error', (error: Error & { code?: string }) => {
      void this.end(
        error.code === 'ERR_WORKER_OUT_OF_MEMORY'
          ? outOfMemory(this.#module, limits.memoryMb)
          : this.#failed(`broke down outside of a call: ${error.message.split('\n', 1)[0]}`),
      );
    });
    this.#worker.on('exit', () => void this.end(this.#failed('ended its thread')));
    this.#ready = this.#start(module);
    void Promise.allSettled([this.#ready]);
  }

  get ended(): boolean {
    return this.#ended !== null;
  }

  /** @throws AppError `TRANSFORM_UNUSABLE`, `TRANSFORM_CHANGED` */
  ready(): Promise<void> {
    return this.#ready;
  }

  /** @throws AppError `TRANSFORM_FAILED`, `TRANSFORM_TIMEOUT`, `TRANSFORM_OUT_OF_MEMORY`, and those of `ready` */
  async perform(task: Task): Promise<Done> {
    await this.#ready;
    const { callMs } = this.#limits;
    const answer = this.#next(callMs, timedOut(this.#module, callMs));
    if (this.#ended === null) this.#worker.postMessage(task, [task.rows]);
    const answered = await answer;
    if ('done' in answered) return answered.done;
    throw this.#failed('failed' in answered ? `broke off: ${answered.failed}` : 'gave an answer out of turn');
  }

  /** Ends it, and whatever it is at. */
  async end(reason: AppError): Promise<void> {
    if (this.#ended !== null) return;
    this.#ended = reason;
    this.#answered(reason);
    await this.#worker.terminate();
  }

  /** A thread that begins later must not run another module than the first. */
  async #start({ directory, name, hash }: TransformModule): Promise<void> {
    const answer = await this.#next(startWithinMs, unusable(this.#module, 'it did not load in time'));
    if ('unusable' in answer) {
      const reason = unusable(this.#module, answer.unusable);
      await this.end(reason);
      throw reason;
    }
    try {
      await findModule(directory, name, hash);
    } catch (error) {
      await this.end(toAppError(error));
      throw error;
    }
    this.#loaded = true;
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

  #failed(reason: string): AppError {
    if (!this.#loaded) return unusable(this.#module, `it ${reason}`);
    return new AppError('TRANSFORM_FAILED', `The transform "${this.#module}" ${reason}.`, {
      module: this.#module,
    });
  }
}

/** A source, or what was built from it: as this file is. */
const ownEntry = (): URL => new URL(`./thread${path.extname(import.meta.filename)}`, import.meta.url);

const unusable = (module: string, reason: string): AppError =>
  new AppError(
    'TRANSFORM_UNUSABLE',
    `The transform "${module}" cannot be used: ${reason}. Nothing more was written. Mend the module, and begin again.`,
    { module, reason },
  );

export const outOfMemory = (module: string, memoryMb: number): AppError =>
  new AppError(
    'TRANSFORM_OUT_OF_MEMORY',
    `The transform "${module}" needed more than ${memoryMb} MB of memory, and was ended.`,
    { module, memoryMb },
  );

const timedOut = (module: string, callMs: number): AppError =>
  new AppError(
    'TRANSFORM_TIMEOUT',
    `The transform "${module}" did not return within ${callMs / 1_000} s, and was ended.`,
    { module, callMs },
  );
