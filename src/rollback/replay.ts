import type { Target } from '../db/target.ts';
import { makeGround } from './ground.ts';

export interface ReplayOptions {
  /** Any database of the server on which the scratch database is made. */
  readonly server: Target;
  readonly migrations: readonly { readonly name: string; readonly sql: string }[];
  /** A UUID, which the scratch database carries in its name. */
  readonly jobId: string;
  readonly signal: AbortSignal;
}

/**
 * Applies migrations to an empty scratch database, and works with what they have made of it.
 * @throws AppError of the statement that fails, `SCRATCH_DENIED`, `DATABASE_UNREACHABLE`; the signal's reason
 */
export async function replay<T>(options: ReplayOptions, work: (made: Target) => Promise<T>): Promise<T> {
  const { trial } = await makeGround({ ...options, from: 'empty', rowsPerTable: 0 });
  try {
    await trial.forth(options.migrations, false);
    await trial.forget();
    return await work(trial.session.target);
  } finally {
    await trial.close();
  }
}
