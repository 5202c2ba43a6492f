import { AppError } from '../../errors.ts';
import { outOfMemory, Thread } from './one-thread.ts';
import type { TransformerOptions, TransformLimits } from './request.ts';
import type { Done, Task } from './thread.ts';

/** How often the memory of the process is looked at while threads work. */
const lookEveryMs = 200;
/** What the process may grow by itself, beside what its threads may take. */
const ownMegabytes = 256;

interface Waiting {
  readonly task: Task;
  readonly settle: (outcome: Promise<Done>) => void;
}

/** Threads with one module, among which tasks are shared out in the order in which they come. */
export class Threads {
  readonly #options: TransformerOptions;
  readonly #limits: TransformLimits;
  readonly #idle: Thread[] = [];
  readonly #busy = new Set<Thread>();
  readonly #waiting: Waiting[] = [];
  #watch: NodeJS.Timeout | null = null;
  #closed = false;

  constructor(options: TransformerOptions, limits: TransformLimits) {
    this.#options = options;
    this.#limits = limits;
  }

  get size(): number {
    return this.#limits.threads;
  }

  /**
   * Starts the first thread, so that a module of no use is known before a row is read.
   * @throws AppError `TRANSFORM_UNUSABLE`
   */
  async start(): Promise<void> {
    const thread = new Thread(this.#options, this.#limits);
    await thread.ready();
    this.#idle.push(thread);
  }

  /** @throws AppError those of `Thread.perform` */
  perform(task: Task): Promise<Done> {
    return new Promise((resolve) => {
      this.#waiting.push({ task, settle: resolve });
      this.#shareOut();
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    const reason = new AppError('JOB_CANCELLED', 'The transform was closed.');
    for (const { settle } of this.#waiting.splice(0)) settle(Promise.reject(reason));
    await Promise.all([...this.#idle.splice(0), ...this.#busy].map((thread) => thread.end(reason)));
    this.#stopWatching();
  }

  #shareOut(): void {
    while (this.#waiting.length > 0 && this.#busy.size < this.#limits.threads) {
      const { task, settle } = this.#waiting.shift() as Waiting;
      settle(this.#perform(task));
    }
  }

  async #perform(task: Task): Promise<Done> {
    const thread = this.#take();
    this.#busy.add(thread);
    this.#startWatching();
    try {
      return await thread.perform(task);
    } finally {
      this.#busy.delete(thread);
      if (this.#busy.size === 0) this.#stopWatching();
      if (!thread.ended) this.#idle.push(thread);
      if (!this.#closed) this.#shareOut();
    }
  }

  #take(): Thread {
    for (let thread = this.#idle.pop(); thread !== undefined; thread = this.#idle.pop())
      if (!thread.ended) return thread;
    return new Thread(this.#options, this.#limits);
  }

  /**
   * A thread's limit counts what JavaScript's heap holds, and no buffers: of those only the whole process' memory tells.
   * Whose they are it does not tell, so that every thread at work is ended.
   */
  #startWatching(): void {
    if (this.#watch !== null) return;
    const { threads, memoryMb } = this.#limits;
    const limit = process.memoryUsage.rss() + (threads * memoryMb + ownMegabytes) * 2 ** 20;
    this.#watch = setInterval(() => {
      if (process.memoryUsage.rss() < limit) return;
      const reason = outOfMemory(this.#options.module.name, memoryMb);
      for (const thread of this.#busy) void thread.end(reason);
    }, lookEveryMs);
  }

  #stopWatching(): void {
    if (this.#watch !== null) clearInterval(this.#watch);
    this.#watch = null;
  }
}
