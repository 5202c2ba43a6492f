/** Tries the way back of every migration of a folder: forth, back, forth again, and compares what each leaves. */
import type { Target } from '../db/target.ts';
import { AppError } from '../errors.ts';
import { readState, type SchemaState } from '../schema/difference.ts';
import { compareFingerprints, type Fingerprint, readFingerprint } from '../schema/fingerprint.ts';
import { createScratch, type Scratch } from '../schema/scratch.ts';
import { generateRollback } from './generate.ts';
import { type Identity, readIdentities } from './identities.ts';
import { runText } from './run.ts';
import { type Rollback, writtenRollback } from './sources.ts';

export interface ProvenMigration {
  readonly name: string;
  /**
   * `proven`: forth, back and forth again gives the same schema each time. `refused`: there is no way back that may be
   * used. `wrong`: it does not give back what was there. `failed`: the migration itself does not run here.
   */
  readonly outcome: 'proven' | 'refused' | 'wrong' | 'failed';
  readonly source: Rollback['source'];
  /** Empty where there is none. */
  readonly sql: string;
  /** Why it was refused, what differs, or why the migration failed. */
  readonly reasons: readonly string[];
}

export interface ProveInput {
  /** Any database of the server on which the scratch databases are made. */
  readonly server: Target;
  /** In the order in which they are applied, each with the files beside its `migration.sql`. */
  readonly migrations: readonly {
    readonly name: string;
    readonly sql: string;
    readonly files: ReadonlyMap<string, string>;
  }[];
  /** The first that is proven; those before it are only applied. All, where it is not given. */
  readonly since?: string;
  /** A UUID, which the scratch databases carry in their names. */
  readonly jobId: string;
}

/** A database at one point of the folder, and what is known of it. */
interface Point {
  readonly scratch: Scratch;
  readonly state: SchemaState;
  readonly identities: ReadonlyMap<string, Identity>;
}

const applicationName = 'switchback:prove';

/**
 * Yields each migration as soon as it is tried. It ends with the first that does not run: what would come behind it
 * stands on something that is not there. All scratch databases are dropped, also when the caller stops early.
 * @throws AppError `SCRATCH_DENIED`, `DATABASE_UNREACHABLE`
 */
export async function* proveMigrations(input: ProveInput): AsyncGenerator<ProvenMigration> {
  const prover = new Prover(input);
  let point = await prover.begin();
  let isReached = input.since === undefined;
  try {
    for (const migration of input.migrations) {
      isReached ||= migration.name === input.since;
      const after = await prover.apply(point, migration.sql);
      if ('failed' in after) {
        yield {
          name: migration.name,
          outcome: 'failed',
          source: 'generated',
          sql: '',
          reasons: [after.failed],
        };
        return;
      }
      if (isReached) yield await prover.prove(migration, point, after);
      await point.scratch.drop();
      point = after;
    }
  } finally {
    await point.scratch.drop();
    await prover.dropAll();
  }
}

class Prover {
  readonly #input: ProveInput;
  readonly #open = new Set<Scratch>();

  constructor(input: ProveInput) {
    this.#input = input;
  }

  async begin(): Promise<Point> {
    return this.#pointOf(await this.#make());
  }

  async apply(before: Point, sql: string): Promise<Point | { readonly failed: string }> {
    const scratch = await this.#make(before.scratch);
    const failed = await this.#run(scratch, sql);
    if (failed === null) return this.#pointOf(scratch);
    await scratch.drop();
    return { failed };
  }

  async prove(
    migration: ProveInput['migrations'][number],
    before: Point,
    after: Point,
  ): Promise<ProvenMigration> {
    const { name } = migration;
    const rollback = writtenRollback(migration.files) ?? (await this.#generate(before, after));
    const { source, sql, refusals } = rollback;
    if (refusals.length > 0) return { name, outcome: 'refused', source, sql, reasons: refusals };
    const back = await this.#make(after.scratch);
    try {
      const failed = await this.#run(back, sql);
      if (failed !== null) return { name, outcome: 'wrong', source, sql, reasons: [`It fails: ${failed}`] };
      const left = await this.#difference(back, before.state.fingerprint);
      if (left.length > 0) return { name, outcome: 'wrong', source, sql, reasons: left };
      const again = await this.#run(back, migration.sql);
      if (again !== null)
        return { name, outcome: 'wrong', source, sql, reasons: [`The migration fails after it: ${again}`] };
      const other = await this.#difference(back, after.state.fingerprint);
      return { name, outcome: other.length > 0 ? 'wrong' : 'proven', source, sql, reasons: other };
    } finally {
      await this.#drop(back);
    }
  }

  async dropAll(): Promise<void> {
    for (const scratch of this.#open) await scratch.drop();
  }

  async #generate(before: Point, after: Point): Promise<Rollback> {
    const spoilt = await this.#make(after.scratch);
    try {
      return await generateRollback({
        applied: spoilt,
        before: before.state,
        after: after.state,
        identitiesBefore: before.identities,
        identitiesAfter: after.identities,
        applicationName,
      });
    } finally {
      await this.#drop(spoilt);
    }
  }

  async #make(copyOf?: Scratch): Promise<Scratch> {
    const { server, jobId } = this.#input;
    const scratch = await createScratch({
      like: server,
      jobId,
      applicationName,
      ...(copyOf === undefined ? {} : { copyOf }),
    });
    this.#open.add(scratch);
    return scratch;
  }

  async #drop(scratch: Scratch): Promise<void> {
    await scratch.drop();
    this.#open.delete(scratch);
  }

  async #pointOf(scratch: Scratch): Promise<Point> {
    const state = await readState(scratch.target, { applicationName });
    const session = await scratch.open();
    try {
      return { scratch, state, identities: await readIdentities(session) };
    } finally {
      await session.close();
    }
  }

  /** Null, or why it failed. */
  async #run(scratch: Scratch, sql: string): Promise<string | null> {
    const session = await scratch.open();
    try {
      await runText(session, sql);
      return null;
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      return error.message;
    } finally {
      await session.close();
    }
  }

  /** What differs from what is wanted, in words. */
  async #difference(scratch: Scratch, wanted: Fingerprint): Promise<string[]> {
    const session = await scratch.open();
    try {
      return compareFingerprints(wanted, await readFingerprint(session)).map(({ words }) => words);
    } finally {
      await session.close();
    }
  }
}
