/** Tries the way back of every migration of a folder: forth, back, forth again, and compares what each leaves. */

import type { Session } from '../db/session.ts';
import type { Target } from '../db/target.ts';
import { AppError } from '../errors.ts';
import type { TableName } from '../schema/content.ts';
import { readStateIn, type SchemaState } from '../schema/difference.ts';
import type { Fingerprint } from '../schema/fingerprint.ts';
import { attempt } from './attempt.ts';
import { allTables, holdingTables } from './contents.ts';
import { type Ground, type LiveSource, makeGround } from './ground.ts';
import { createRowFiller, type RowFiller } from './rows/fill.ts';
import { touchedTables } from './rows/touched.ts';
import type { Rollback } from './sources.ts';

export type { LiveSource } from './ground.ts';

/** What is in the tables while a migration is tried; `sample` and `full` are rows of the live database. */
export type ProofRows = 'none' | 'generated' | 'sample' | 'full';

export interface ProvenMigration {
  readonly name: string;
  /**
   * `proven`: forth, back and forth again gives the same schema each time, and back the same rows. `refused`: there is
   * no way back that may be used. `wrong`: it does not give back what was there. `failed`: the migration itself does not
   * run here.
   */
  readonly outcome: 'proven' | 'refused' | 'wrong' | 'failed';
  readonly source: Rollback['source'];
  /** Empty where there is none. */
  readonly sql: string;
  /** Why it was refused, what differs, or why the migration failed. */
  readonly reasons: readonly string[];
  /** Of one that failed: whether it may run where the rows of the live database are, which were not all there. */
  readonly wantsRows: boolean;
  /** What it was tried on. */
  readonly on: ProvenOn;
  readonly compared: Compared;
}

export type ProvenOn = 'schema' | 'generated rows' | 'sample' | 'full';

export interface Compared {
  /** Tables of which the number and the content of the rows were compared. */
  readonly tables: number;
  /** How many rows these had. */
  readonly rows: number;
  /** What was not compared or not there, in words. */
  readonly leftOut: readonly string[];
}

export interface ProveInput {
  /** Any database of the server on which the scratch database is made. */
  readonly server: Target;
  /** What the first migration stands on: nothing, or the schema of a live database. */
  readonly from: 'empty' | LiveSource;
  readonly rows: ProofRows;
  /** In the order in which they are applied. */
  readonly migrations: readonly MigrationFiles[];
  /** The first that is proven; those before it are only applied. All, where it is not given. */
  readonly since?: string;
  /** A UUID, which the scratch database carries in its name. */
  readonly jobId: string;
  readonly signal: AbortSignal;
  /** Called with the scratch database while there is nothing in it. */
  readonly empty?: (scratch: Target) => Promise<void>;
  /** Called with it, and what it has, before the first migration is tried in it. */
  readonly found?: SchemaHook;
  /** Called with it when all are applied, unless one has failed. */
  readonly made?: SchemaHook;
}

export type SchemaHook = (scratch: Target, schema: Fingerprint) => Promise<void>;

export interface MigrationFiles {
  readonly name: string;
  readonly sql: string;
  /** Texts of the files beside its `migration.sql`, by their names. */
  readonly files: ReadonlyMap<string, string>;
}

/**
 * Yields each migration as soon as it is tried. It ends with the first that does not run: what would come behind it
 * stands on something that is not there. The scratch database is dropped, also when the caller stops early.
 * @throws AppError `SCRATCH_DENIED`, `SCHEMA_COPY_FAILED`, `DATABASE_UNREACHABLE`; the signal's reason
 */
export async function* proveMigrations(input: ProveInput): AsyncGenerator<ProvenMigration> {
  const prover = new Prover(input);
  try {
    const first = input.migrations.findIndex(({ name }) => name === (input.since ?? name));
    const failed = await prover.begin(first);
    if (failed !== null) {
      yield failed;
      return;
    }
    if (input.found !== undefined) await input.found(prover.target, await prover.schema());
    for (const [index, migration] of input.migrations.entries()) {
      if (index < first) continue;
      input.signal.throwIfAborted();
      const proven = await prover.prove(migration, index);
      yield proven;
      if (proven.outcome === 'failed') return;
    }
    if (input.made !== undefined) await input.made(prover.target, await prover.schema());
  } finally {
    await prover.end();
  }
}

/** Of the live database's tables. */
const sampleSize = 1_000;

const words: Readonly<Record<ProofRows, ProvenOn>> = {
  none: 'schema',
  generated: 'generated rows',
  sample: 'sample',
  full: 'full',
};

class Prover {
  readonly #input: ProveInput;
  #ground: Ground | null = null;
  #filler: RowFiller = createRowFiller();
  /** The schema as the next migration finds it, where it has been read. */
  #schema: SchemaState | null = null;

  constructor(input: ProveInput) {
    this.#input = input;
  }

  async end(): Promise<void> {
    await this.#ground?.trial.close();
    this.#ground = null;
  }

  get target(): Target {
    return this.#made().trial.session.target;
  }

  /** What is in it now; it is read once. */
  async schema(): Promise<Fingerprint> {
    this.#schema ??= await readStateIn(this.#made().trial.session);
    return this.#schema.fingerprint;
  }

  /** Makes the database anew, as it is before the migration of that number; or says what failed before it. */
  async begin(index: number): Promise<ProvenMigration | null> {
    const { rows, migrations } = this.#input;
    await this.end();
    const rowsPerTable = rows === 'sample' ? sampleSize : rows === 'full' ? null : 0;
    this.#ground = await makeGround({ ...this.#input, rowsPerTable });
    this.#filler = createRowFiller();
    this.#schema = null;
    const before = migrations.slice(0, index);
    try {
      if (before.length > 0) await this.#ground.trial.forth(before, false);
      await this.#ground.trial.forget();
      return null;
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      const { message, details } = error;
      const name = typeof details.migration === 'string' ? details.migration : '';
      const compared = { tables: 0, rows: 0, leftOut: this.#ground.leftOut };
      return {
        name,
        outcome: 'failed',
        source: 'generated',
        sql: '',
        reasons: [message],
        wantsRows: false,
        on: 'schema',
        compared,
      };
    }
  }

  async prove(migration: MigrationFiles, index: number): Promise<ProvenMigration> {
    const { rows } = this.#input;
    const proven = await this.#attempt(migration, rows, []);
    if (proven.outcome === 'failed' && rows === 'generated') {
      // Rows that nobody has written speak against no migration.
      await this.begin(index);
      return this.#settled(
        index,
        await this.#attempt(migration, 'none', [
          `rows, with which it does not run: ${proven.reasons.join(' ')}`,
        ]),
      );
    }
    return this.#settled(index, proven);
  }

  /** After what has failed somewhere the database is of no further use. */
  async #settled(index: number, proven: ProvenMigration): Promise<ProvenMigration> {
    if (proven.outcome !== 'failed' && this.#schema === null) await this.begin(index + 1);
    else if (proven.outcome !== 'failed') await this.#made().trial.forget();
    return proven;
  }

  async #attempt(
    migration: MigrationFiles,
    rows: ProofRows,
    more: readonly string[],
  ): Promise<ProvenMigration> {
    const { trial, leftOut } = this.#made();
    const { session } = trial;
    const before = this.#schema ?? (await readStateIn(session));
    const { tables, unfilled } = await this.#fill(session, migration, rows);
    const { proven, after } = await attempt({
      trial,
      migration,
      before,
      tables,
      on: words[rows],
      leftOut: [...leftOut, ...unfilled, ...more],
    });
    this.#schema = after;
    return proven;
  }

  #made(): Ground {
    if (this.#ground === null) throw new TypeError('begin comes first');
    return this.#ground;
  }

  /** The tables whose rows are compared. */
  async #fill(
    session: Session,
    { sql, files }: MigrationFiles,
    rows: ProofRows,
  ): Promise<{ tables: readonly TableName[]; unfilled: readonly string[] }> {
    if (rows === 'none') return { tables: [], unfilled: [] };
    if (rows !== 'generated') return { tables: await allTables(session), unfilled: [] };
    const touched = await touchedTables(session, [sql, ...files.values()].join('\n'));
    const { left } = await this.#filler.fill(session, touched);
    return {
      tables: await holdingTables(session, touched),
      unfilled: left.map(({ table, reason }) => `rows of ${table}: ${reason}`),
    };
  }
}
