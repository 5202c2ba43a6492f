import { setTimeout as pause } from 'node:timers/promises';
import { openSession, type Session } from '../session.ts';
import type { Target } from '../target.ts';

/** Channels of the control database. `switchback_event` carries a job's id: it has a new event. `switchback_cancel`: it is to be cancelled. `switchback_flag`: a flag's id, it has changed. */
export type Channel = 'switchback_event' | 'switchback_cancel' | 'switchback_flag';

export interface Listener {
  /**
   * Calls `wake` with each payload, and with null after the connection was lost and found again: something may have
   * been missed, so look again. Returns the function that ends it.
   */
  on(channel: Channel, wake: (payload: string | null) => void): () => void;
  close(): Promise<void>;
}

const retryMs = 500;

/** LISTEN over one connection, made when the first listener comes, and made again when it breaks. */
export function openListener(target: Target): Listener {
  const wakes = new Map<Channel, Set<(payload: string | null) => void>>([
    ['switchback_event', new Set()],
    ['switchback_cancel', new Set()],
    ['switchback_flag', new Set()],
  ]);
  const closing = new AbortController();
  let session: Session | null = null;
  let running: Promise<void> | null = null;

  const wakeAll = (): void => {
    for (const set of wakes.values()) for (const wake of set) wake(null);
  };

  const listenOnce = async (): Promise<void> => {
    session = await openSession(target, {
      applicationName: 'switchback:listen',
      doing: 'listening for events',
    });
    if (closing.signal.aborted) return session.close();
    const lost = session.whenLost();
    session.onNotification(({ channel, payload }) => {
      for (const wake of wakes.get(channel as Channel) ?? []) wake(payload);
    });
    await session.query([...wakes.keys()].map((channel) => `listen ${channel}`).join('; '));
    wakeAll();
    await lost;
  };

  const run = async (): Promise<void> => {
    while (!closing.signal.aborted) {
      // While the control database is away every reader polls by itself; this only tries again.
      await Promise.allSettled([listenOnce()]);
      await Promise.allSettled([pause(retryMs, undefined, { signal: closing.signal })]);
    }
  };

  return {
    on(channel, wake) {
      wakes.get(channel)?.add(wake);
      running ??= run();
      return () => wakes.get(channel)?.delete(wake);
    },
    async close() {
      closing.abort();
      await session?.close();
      await running;
    },
  };
}
