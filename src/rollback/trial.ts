/** A scratch database in which one migration after the other is applied, taken back and applied again. */
import { randomUUID } from 'node:crypto';
import { schemaFrom } from '../analysis/schema/from-catalogue.ts';
import { readCatalogue } from '../db/catalogue.ts';
import { openSession, type Session, type SessionOptions } from '../db/session.ts';
import type { Target } from '../db/target.ts';
import { AppError } from '../errors.ts';
import { apply } from '../migrations/apply.ts';
import { checksum } from '../migrations/checksum.ts';
import { compare } from '../migrations/compare.ts';
import { historyTable, readHistory } from '../migrations/history.ts';
import type { Keeping } from '../migrations/keeping.ts';
import type { MigrationOutcome } from '../migrations/migration-run.ts';
import { makePlan } from '../migrations/plan.ts';
import type { Bundle } from '../migrations/read.ts';
import { savedEntries } from '../migrations/saved-entries.ts';
import { type ReversalOutcome, takeBack } from '../migrations/take-back.ts';
import type { LockRequest, SessionSource } from '../migrations/with-locks.ts';
import type { Scratch } from '../schema/scratch.ts';

/** Nobody else is connected: whoever has to wait waits for itself. */
const lockLimits = { lockTimeoutMs: 60_000, lockBudgetMs: 60_000 };

interface TrialInput {
  readonly scratch: Scratch;
  readonly session: Session;
  /** Schema of the history. */
  readonly schema: string;
  readonly jobId: string;
  readonly signal: AbortSignal;
}

interface Text {
  readonly name: string;
  readonly sql: string;
}

function bundleOf(texts: readonly Text[]): Bundle {
  const migrations = texts.map(({ name, sql }) => ({
    name,
    sql: Buffer.from(sql),
    checksum: checksum(Buffer.from(sql)),
  }));
  return { id: randomUUID(), migrations };
}

/** Their own order holds, not that of their names. */
const inOrder = <One extends Pick<Text, 'name'>>(texts: readonly Text[], all: readonly One[]): One[] =>
  texts.flatMap(({ name }) => all.find((one) => one.name === name) ?? []);

/** Keeps sessions, and gives them out as new: to connect takes longer than most migrations. */
class KeptSessions implements SessionSource {
  readonly #target: Target;
  readonly #idle = new Map<string, Session>();
  readonly #names = new Map<Session, string>();
  /** One of them is lost: whoever comes now would take the others for those of a predecessor. */
  #lost = false;

  constructor(target: Target) {
    this.#target = target;
  }

  async open(options: SessionOptions): Promise<Session> {
    const { applicationName } = options;
    const session = this.#idle.get(applicationName) ?? (await openSession(this.#target, options));
    this.#idle.delete(applicationName);
    this.#names.set(session, applicationName);
    return session;
  }

  async close(session: Session): Promise<void> {
    try {
      // On its own: it refuses to be part of a transaction, as which several statements run.
      await session.query('discard all');
      await session.query(session.ownSettings);
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      this.#lost = true;
    }
    this.#idle.set(this.#names.get(session) ?? '', session);
    if (this.#lost) await this.end();
  }

  async end(): Promise<void> {
    for (const session of this.#idle.values()) await session.close();
    this.#idle.clear();
  }
}

/** Runs what a deployment and a rollback run, with the same code. */
export class Trial {
  readonly session: Session;
  readonly #input: TrialInput;
  readonly #target: Target;
  readonly #sessions: KeptSessions;
  readonly #vault: Keeping = {
    operation: randomUUID(),
    retentionDays: 1,
    limitBytes: null,
    whenFull: 'refuse',
    backup: null,
    allow: [{ code: 'VAULT_CANNOT_KEEP', reason: 'in a scratch database nothing is lost' }],
  };

  constructor(input: TrialInput) {
    this.#input = input;
    this.session = input.session;
    this.#target = { ...input.scratch.target, schema: input.schema };
    this.#sessions = new KeptSessions(this.#target);
  }

  /**
   * Applies migrations, one after the other. `keep`: with the vault.
   * @throws AppError of the statement that fails; the database is then of no further use
   */
  async forth(migrations: readonly Text[], keep: boolean): Promise<MigrationOutcome[]> {
    const { session } = this;
    const { schema } = this.#target;
    const bundle = bundleOf(migrations);
    const history = await readHistory(session, schema);
    const { migrations: compared } = compare(bundle, history, { outOfOrder: 'warn' });
    const catalogue = keep ? await readCatalogue(session) : null;
    const plan = makePlan({
      bundle,
      history,
      comparison: { migrations: inOrder(migrations, compared), faults: [] },
      serverVersion: '',
      schema: catalogue === null ? null : schemaFrom(catalogue, { defaultSchema: schema }),
    });
    // Whatever speaks against a deployment, here it may run.
    return apply({
      ...this.#request(),
      bundle,
      plan: { ...plan, faults: [] },
      vault: keep ? this.#vault : null,
    });
  }

  /**
   * What it cannot keep is an error, as it is when a rollback is asked for.
   * @throws AppError of the statement that fails; the database is then of no further use
   */
  async back(name: string, sql: string): Promise<ReversalOutcome> {
    const { session } = this;
    const { schema } = this.#target;
    const { rows } = await readHistory(session, schema);
    const row = rows.findLast((one) => one.name === name);
    if (row === undefined) throw new TypeError(`${name} was not applied`);
    const entries = await savedEntries(session, schema, name, 'forth');
    const reversal = { name, historyId: row.id, checksum: row.checksum, sql, entries };
    const [outcome] = await takeBack({
      ...this.#request(),
      reversals: [reversal],
      vault: { ...this.#vault, allow: [] },
    });
    if (outcome === undefined) throw new TypeError(`${name} was taken back before`);
    return outcome;
  }

  /** Forgets what was applied and kept, for the next migration. */
  async forget(): Promise<void> {
    const { schema } = this.#target;
    await this.session.query(
      `drop schema if exists switchback_vault cascade; drop schema if exists switchback cascade; ` +
        `drop table if exists ${historyTable(schema)}`,
    );
  }

  #request(): LockRequest & typeof lockLimits {
    const { jobId, signal } = this.#input;
    const sessions = this.#sessions;
    return { target: this.#target, jobId, signal, sessions, report: () => undefined, ...lockLimits };
  }

  async close(): Promise<void> {
    await this.#sessions.end();
    await this.session.close();
    await this.#input.scratch.drop();
  }
}
