/** The scratch database in which migrations are tried, as the first of them finds it. */
import type { ProgramPlaces } from '../db/programs.ts';
import type { Target } from '../db/target.ts';
import { copySchema } from '../schema/copy.ts';
import { createScratch } from '../schema/scratch.ts';
import { copyRows } from './rows/copy.ts';
import { Trial } from './trial.ts';

/** A database whose schema the first migration stands on. It is only read. */
export interface LiveSource {
  readonly live: Target;
  readonly programPlaces: ProgramPlaces;
  readonly lockWaitSeconds: number;
}

export interface GroundOptions {
  /** Any database of the server on which the scratch database is made. */
  readonly server: Target;
  readonly from: 'empty' | LiveSource;
  /** How many rows of each of its tables are copied; null for all, 0 for none. */
  readonly rowsPerTable: number | null;
  /** A UUID, which the scratch database carries in its name. */
  readonly jobId: string;
  readonly signal: AbortSignal;
  /** Called with the scratch database while there is nothing in it. */
  readonly empty?: (scratch: Target) => Promise<void>;
}

export interface Ground {
  readonly trial: Trial;
  /** What is not as it is in the live database, in words. */
  readonly leftOut: readonly string[];
}

export const applicationName = 'switchback:prove';

/** @throws AppError `SCRATCH_DENIED`, `SCHEMA_COPY_FAILED`, `DATABASE_UNREACHABLE`; the signal's reason */
export async function makeGround(options: GroundOptions): Promise<Ground> {
  const { server, from, jobId, signal } = options;
  const like = from === 'empty' ? server : from.live;
  const scratch = await createScratch({ like, server, jobId, applicationName });
  try {
    await options.empty?.(scratch.target);
    const leftOut =
      from === 'empty'
        ? []
        : await copy({ ...from, ...options, source: from.live, outward: true, scratch, applicationName });
    const session = await scratch.open();
    return { trial: new Trial({ scratch, session, schema: like.schema, jobId, signal }), leftOut };
  } catch (error) {
    await scratch.drop();
    throw error;
  }
}

async function copy(
  options: Parameters<typeof copySchema>[0] & Pick<GroundOptions, 'rowsPerTable'>,
): Promise<string[]> {
  const { missingExtensions, left } = await copySchema(options);
  const lacking = [
    ...missingExtensions.map((name) => `the extension ${name} is not on the server of the scratch database`),
    ...left.map(({ object, reason }) => `${object}: ${reason}`),
  ];
  return options.rowsPerTable === 0 ? lacking : [...lacking, ...(await copyRows(options))];
}
