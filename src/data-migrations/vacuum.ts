/** Looks after the dead rows that batches leave, where that is asked for. */
import { openSession, type Session } from '../db/session.ts';
import type { Target } from '../db/target.ts';
import type { Table } from '../vault/table.ts';
import type { DataMigrationEvent } from './events.ts';

export class Vacuum {
  readonly #target: Target;
  readonly #table: Table;
  readonly #report: (event: DataMigrationEvent) => void;
  #batches = 0;
  #running: Promise<void> | null = null;
  #session: Session | null = null;

  constructor(target: Target, table: Table, report: (event: DataMigrationEvent) => void) {
    this.#target = target;
    this.#table = table;
    this.#report = report;
  }

  /** One runs beside the batches, which it does not block; while it runs no other begins. */
  batchDone(every: number | null): void {
    this.#batches += 1;
    if (every === null || this.#batches % every !== 0 || this.#running !== null) return;
    this.#running = this.#vacuum()
      .catch((error: unknown) =>
        this.#report({
          type: 'retrying',
          reason: `VACUUM: ${error instanceof Error ? error.message : String(error)}`,
          rows: 0,
        }),
      )
      .finally(() => {
        this.#running = null;
      });
  }

  /** Ends one that is running. */
  async close(): Promise<void> {
    if (this.#running !== null) await Promise.allSettled([this.#session?.cancel()]);
    await this.#running;
  }

  /** As gentle as autovacuum. */
  async #vacuum(): Promise<void> {
    const startedAt = performance.now();
    const session = await openSession(this.#target, {
      applicationName: 'switchback:vacuum',
      doing: 'vacuuming',
    });
    this.#session = session;
    try {
      await session.query("set statement_timeout = 0; set vacuum_cost_delay = '2ms'");
      await session.query(`vacuum (skip_locked) ${this.#table.sql}`);
      this.#report({ type: 'vacuumed', tookMs: Math.round(performance.now() - startedAt) });
    } finally {
      this.#session = null;
      await session.close();
    }
  }
}
