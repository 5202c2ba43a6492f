import type { Session } from '../db/session.ts';

/** How far a long statement is, in PostgreSQL's own units (blocks). */
export interface StatementProgress {
  readonly phase: string;
  readonly done: number;
  readonly total: number;
}

const everyMs = 1_000;

const progressSql = `
  select phase, blocks_done::float8 as done, blocks_total::float8 as total from pg_catalog.pg_stat_progress_create_index where pid = $1
  union all
  select phase, heap_blks_scanned::float8, heap_blks_total::float8 from pg_catalog.pg_stat_progress_vacuum where pid = $1
  union all
  select phase, heap_blks_scanned::float8, heap_blks_total::float8 from pg_catalog.pg_stat_progress_cluster where pid = $1`;

/** Reads the progress of what another backend runs, once a second, from a session that has nothing else to do. */
export function watchStatement(
  session: Session,
  pid: number,
  report: (progress: StatementProgress) => void,
): { stop(): Promise<void> } {
  let reading: Promise<void> = Promise.resolve();
  const timer = setInterval(() => {
    reading = reading.then(async () => {
      if (!session.alive) return;
      const { rows } = await session.query<StatementProgress>(progressSql, [pid]);
      for (const row of rows) report(row);
    });
    // A lost connection shows in the statement itself; progress is only told.
    reading = reading.catch((error: unknown) =>
      report({ phase: `progress cannot be read: ${String(error)}`, done: 0, total: 0 }),
    );
  }, everyMs);
  return {
    async stop() {
      clearInterval(timer);
      await reading;
    },
  };
}
