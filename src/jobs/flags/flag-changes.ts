/** Readers of the flags' changes. The table is the truth; notifications only wake. */
import type { Control } from '../../db/control/control.ts';
import type { FlagChange } from '../../db/control/generated/client.ts';

export type { FlagChange };

const pageSize = 200;
/** Where a wake-up was lost, the table is looked at nevertheless. */
const lookEveryMs = 5_000;

/** All readers of one process: the table is asked whether there is something new once for all of them. */
export interface FlagChanges {
  /** Number of the latest change, 0 where there is none. */
  latest(): Promise<number>;
  /** The changes after a number, as they come, until `signal` aborts. */
  tail(after: number, signal: AbortSignal): AsyncGenerator<FlagChange>;
  close(): void;
}

export function openFlagChanges(control: Control): FlagChanges {
  const waiting = new Set<() => void>();
  let readers = 0;
  let last = 0;
  let timer: NodeJS.Timeout | undefined;
  const wakeAll = (): void => {
    for (const wake of waiting) wake();
  };
  const look = async (): Promise<void> => {
    // While the control database is away there is nothing to tell.
    const [latest] = await Promise.allSettled([latestNumber(control)]);
    if (latest.status === 'rejected' || latest.value === last) return;
    last = latest.value;
    wakeAll();
  };
  const deafen = control.listener.on('switchback_flag', wakeAll);
  const enter = (): void => {
    readers += 1;
    timer ??= setInterval(() => void look(), lookEveryMs).unref();
  };
  const leave = (): void => {
    readers -= 1;
    if (readers > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
  /** Resolves with the next wake-up, or when the client goes. */
  const woken = (signal: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      const done = (): void => {
        waiting.delete(done);
        signal.removeEventListener('abort', done);
        resolve();
      };
      waiting.add(done);
      signal.addEventListener('abort', done, { once: true });
      if (signal.aborted) done();
    });

  return {
    latest: () => latestNumber(control),
    async *tail(after, signal) {
      enter();
      try {
        let place = after;
        while (!signal.aborted) {
          // Before the table is read: what comes meanwhile must wake.
          const next = woken(signal);
          const changes = await readAfter(control, place);
          for (const change of changes) {
            yield change;
            place = change.number;
          }
          if (changes.length < pageSize) await next;
        }
      } finally {
        leave();
      }
    },
    close() {
      deafen();
      clearInterval(timer);
    },
  };
}

const readAfter = (control: Control, number: number): Promise<FlagChange[]> =>
  control.prisma.flagChange.findMany({
    where: { number: { gt: number } },
    orderBy: { number: 'asc' },
    take: pageSize,
  });

async function latestNumber(control: Control): Promise<number> {
  const { _max } = await control.prisma.flagChange.aggregate({ _max: { number: true } });
  return _max.number ?? 0;
}
