import type { Session } from '../db/session.ts';
import { AppError } from '../errors.ts';
import { codeActsOutside } from '../sql/cluster-wide.ts';
import { asVault } from '../vault/as-vault.ts';
import { originOf } from '../vault/origins.ts';
import { reachOf } from '../vault/reach.ts';
import type { Removal } from '../vault/removals.ts';
import { deferring, readWrites, type TableWrites, type Writes } from '../vault/writes.ts';
import type { PlacedNaming } from './removals.ts';
import type { Around } from './segment-run.ts';
import type { Step } from './segments.ts';

/** Tables that steps have written, and of which nothing was kept. */
export interface Missed {
  /** One of these has; none where it was done by COMMIT. */
  readonly steps: readonly Step[];
  readonly tables: readonly TableWrites[];
  /** Whether any of them was emptied or written anew: triggers do not see that. */
  readonly anew: boolean;
}

interface WatchInput {
  readonly session: Session;
  /** Of all its statements. */
  readonly text: string;
  readonly namings: readonly PlacedNaming[];
  /** Of which steps nothing is kept any more. */
  readonly isGiven: (step: Step) => boolean;
  /** Keeps what is written to tables and what they reach, for that which deferred triggers do. */
  readonly keep: (removal: Removal) => Promise<Around>;
  /** Tables that were found to be written by COMMIT before. */
  readonly atEnd: readonly TableWrites[];
  readonly remark: (remark: string) => void;
}

/**
 * Looks in one try of a transaction whether everything that was written was kept, by PostgreSQL's own counters: they know
 * what views, functions, operators, defaults, cascades and temporary tables that are gone again hide from who reads text.
 */
export class WriteWatch {
  readonly missed: Missed[] = [];
  readonly #input: WatchInput;
  readonly #written = new Map<number, TableWrites>();
  /** Something was missed in a transaction that has done what no rollback takes back. */
  actedOutside = false;
  /** Tables that are older than the transaction. */
  #existing: ReadonlySet<number> = new Set();
  #last: Writes | null = null;

  constructor(input: WatchInput) {
    this.#input = input;
  }

  /** Before the transaction begins: a query in it would fix its isolation level. */
  async begin(): Promise<void> {
    const { tables } = await readWrites(this.#input.session);
    this.#existing = new Set(tables.keys());
  }

  /** Whether it was looked at in the transaction yet. */
  get begun(): boolean {
    return this.#last !== null;
  }

  /** What was written since the last look need not be kept. */
  async skip(): Promise<void> {
    this.#last = await this.#read();
  }

  /** Whose rows were written since the last look, by one of these steps. */
  async look(steps: readonly Step[], keeps: ReadonlySet<number>): Promise<void> {
    const before = this.#last;
    await this.skip();
    const now = this.#last;
    if (before === null || now === null || !now.counted) return;
    const tellsFiles = steps.every(({ writes }) => writes === 'rows');
    const found: TableWrites[] = [];
    let anew = false;
    for (const table of now.tables.values()) {
      const then = before.tables.get(table.oid);
      const isAnew = tellsFiles && then !== undefined && then.file !== table.file;
      if (!isAnew && table.count === (then?.count ?? 0)) continue;
      if (!this.#existing.has(table.oid)) continue;
      this.#written.set(table.oid, table);
      if ([table.oid, ...table.above].some((oid) => keeps.has(oid)) || this.#isMade(then ?? table, steps))
        continue;
      // By the name that it had before: that is how it is found when this is tried again.
      found.push({ ...(then ?? table), count: Math.abs(table.count - (then?.count ?? 0)) });
      anew ||= isAnew;
    }
    const open = steps.filter((step) => step.writes !== 'never' && !this.#input.isGiven(step));
    if (found.length > 0 && (open.length > 0 || steps.length === 0))
      this.missed.push({ steps: open, tables: found, anew });
  }

  /** Has the deferred triggers fire now, as the last of the transaction, and keeps what they do. */
  async fireDeferred(): Promise<Around | null> {
    const { session, keep, atEnd } = this.#input;
    const tables = (await deferring(session, [...this.#written.keys()])).flatMap(
      (oid) => this.#written.get(oid) ?? [],
    );
    if (tables.length === 0) return null;
    const around = await keep({ kind: 'changes', tables: namesOf([...tables, ...atEnd]) });
    await this.skip();
    await session.query('set constraints all immediate');
    await this.look([], around.keeps ?? new Set());
    await around.after();
    return around;
  }

  /** @throws AppError `VAULT_CANNOT_KEEP` when something was missed */
  async demandNothingMissed(): Promise<void> {
    if (this.missed.length === 0) return;
    const { session, text } = this.#input;
    const tables = this.missed.flatMap((one) => one.tables);
    const oids = tables.map(({ oid }) => oid);
    const { code, unbounded } = await asVault(session, () => reachOf(session, oids, [], text));
    this.actedOutside = unbounded || code.some(codeActsOutside);
    const rows = tables.map(({ schema, name, count }) => `${schema}.${name} (${count} rows)`).join(', ');
    throw new AppError(
      'VAULT_CANNOT_KEEP',
      `It wrote to ${rows}, as PostgreSQL counts, by code from which that cannot be told, and nothing of it could be kept. The transaction was rolled back. Write to these tables in plain statements, or allow that this is not kept.`,
      { tables: tables.map(({ schema, name, count }) => ({ table: `${schema}.${name}`, rows: count })) },
    );
  }

  async #read(): Promise<Writes> {
    const writes = await readWrites(this.#input.session);
    if (!writes.counted && this.#last === null)
      this.#input.remark(
        'track_counts is off: whether all was kept that code wrote could not be checked by the counters',
      );
    return writes;
  }

  /** The migration itself has made it, in a transaction before this one. */
  #isMade(table: TableWrites, steps: readonly Step[]): boolean {
    const at = Math.max(0, ...steps.map(({ statement }) => statement));
    const before = this.#input.namings.filter(({ statement }) => at === 0 || statement < at);
    return originOf(table, [], before).made;
  }
}

export const namesOf = (tables: readonly TableWrites[]): { schema: string; name: string }[] =>
  tables.map(({ schema, name }) => ({ schema, name }));
