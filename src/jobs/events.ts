/** Readers of jobs' events. The table is the truth; notifications only wake. */
import type { Control } from '../db/control/control.ts';
import { readEvents, type StoredEvent, terminalStates } from '../db/control/job-rows.ts';

const pageSize = 200;
/** Events that a reader keeps for its clients; who is further behind reads the table by itself. */
const kept = 256;
/** Where a wake-up was lost, a reader looks by itself. */
const lookEveryMs = 5_000;

export type { StoredEvent };

/** All tails of one process: one reader per job serves all its clients. */
export interface EventTails {
  /**
   * The events of a job after a number, as they come; ends after the one that ends the job, and when `signal` aborts.
   * A client keeps nothing but its place, so one that does not read costs no memory.
   */
  tail(jobId: string, after: number, signal: AbortSignal): AsyncGenerator<StoredEvent>;
  close(): void;
}

export function openEventTails(control: Control): EventTails {
  const readers = new Map<string, Reader>();
  const deafen = control.listener.on('switchback_event', (jobId) => {
    if (jobId === null) for (const reader of readers.values()) reader.look();
    else readers.get(jobId)?.look();
  });
  const enter = (jobId: string): Reader => {
    const reader = readers.get(jobId) ?? new Reader(control, jobId);
    readers.set(jobId, reader);
    reader.clients += 1;
    return reader;
  };
  const leave = (jobId: string, reader: Reader): void => {
    reader.clients -= 1;
    if (reader.clients > 0) return;
    reader.close();
    readers.delete(jobId);
  };
  return {
    async *tail(jobId, after, signal) {
      const reader = enter(jobId);
      try {
        yield* follow(control, reader, jobId, after, signal);
      } finally {
        leave(jobId, reader);
      }
    },
    close() {
      deafen();
      for (const reader of readers.values()) reader.close();
    },
  };
}

async function* follow(
  control: Control,
  reader: Reader,
  jobId: string,
  after: number,
  signal: AbortSignal,
): AsyncGenerator<StoredEvent> {
  let place = after;
  while (!signal.aborted && !reader.closed) {
    const { looks, over } = reader;
    const events = reader.since(place) ?? (await readEvents(control.prisma, jobId, place, pageSize));
    for (const event of events) {
      yield event;
      place = event.number;
      if (terminalStates.includes(event.type)) return;
    }
    if (events.length > 0) continue;
    if (over) return;
    await reader.changed(looks, signal);
  }
}

class Reader {
  clients = 0;
  /** Counts the looks at the table that are done: a client waits for one that it has not seen. */
  looks = 0;
  /** Nothing will follow what is kept: the job has ended, or is gone. */
  over = false;
  closed = false;
  readonly #control: Control;
  readonly #jobId: string;
  readonly #timer: NodeJS.Timeout;
  readonly #waiting = new Set<() => void>();
  #events: StoredEvent[] = [];
  #looking = false;
  #again = false;

  constructor(control: Control, jobId: string) {
    this.#control = control;
    this.#jobId = jobId;
    this.#timer = setInterval(() => this.look(), lookEveryMs).unref();
    this.look();
  }

  /** What is kept after a place, or null when the place lies before it. */
  since(place: number): StoredEvent[] | null {
    if (this.looks === 0) return [];
    const [first] = this.#events;
    if (first !== undefined && place < first.number - 1) return null;
    return this.#events.filter((event) => event.number > place);
  }

  /** Reads what is new; a call while one is under way makes it read once more. */
  look(): void {
    if (this.#looking) this.#again = true;
    else void this.#read();
  }

  /** Resolves when the table was looked at again, or the client goes. */
  changed(seen: number, signal: AbortSignal): Promise<void> {
    if (this.looks !== seen || this.closed || signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        this.#waiting.delete(done);
        signal.removeEventListener('abort', done);
        resolve();
      };
      this.#waiting.add(done);
      signal.addEventListener('abort', done, { once: true });
    });
  }

  close(): void {
    this.closed = true;
    clearInterval(this.#timer);
    this.#wake();
  }

  async #read(): Promise<void> {
    this.#looking = true;
    do {
      this.#again = false;
      // While the table cannot be read there is nothing to tell; the timer looks again.
      const [page] = await Promise.allSettled([this.#page()]);
      if (page.status === 'fulfilled' && page.value === pageSize) this.#again = true;
    } while (this.#again && !this.closed);
    this.#looking = false;
  }

  async #page(): Promise<number> {
    const last = this.#events.at(-1)?.number ?? (await this.#lastBefore());
    const events = await readEvents(this.#control.prisma, this.#jobId, last, pageSize);
    const end = events.at(-1) ?? this.#events.at(-1);
    this.over =
      (end !== undefined && terminalStates.includes(end.type)) ||
      (events.length === 0 && (await this.#isOver(last)));
    this.#events = [...this.#events, ...events].slice(-kept);
    this.looks += 1;
    this.#wake();
    return events.length;
  }

  /** A reader that begins on a long log keeps its end only. */
  async #lastBefore(): Promise<number> {
    return Math.max(0, ((await this.#job())?.lastEvent ?? 0) - kept);
  }

  /** Whoever asks for events after the last one of a job would wait for ever. */
  async #isOver(last: number): Promise<boolean> {
    const job = await this.#job();
    return job === null || (terminalStates.includes(job.state) && job.lastEvent <= last);
  }

  #job(): Promise<{ state: string; lastEvent: number } | null> {
    return this.#control.prisma.job.findUnique({
      where: { id: this.#jobId },
      select: { state: true, lastEvent: true },
    });
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
  }
}
