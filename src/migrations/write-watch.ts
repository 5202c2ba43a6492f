import type { Session } from '../db/session.ts';
import { AppError } from '../errors.ts';
import { codeActsOutside } from '../sql/cluster-wide.ts';
import { asVault } from '../vault/as-vault.ts';
import { originOf } from '../vault/origins.ts';
import { reachOf } from '../vault/reach.ts';
import type { Removal } from '../vault/removals.ts';
import {
  deferring,
  freeColumns,
  hasEventTriggers,
  readWrites,
  type TableWrites,
  trees,
  type Writes,
} from '../vault/writes.ts';
import type { PlacedNaming } from './removals.ts';
import type { Around } from './segment-run.ts';
import type { Step } from './segments.ts';

/** Tables that steps have written, and of which nothing was kept. */
export interface Missed {
  /** One of these has; none where it was done by COMMIT. */
  readonly steps: readonly Step[];
  /** Whether nothing else ran between the two looks, so that its table is found by the name that it has here. */
  readonly exact: boolean;
  readonly tables: readonly TableWrites[];
  /** Whether any of them was emptied or written anew: triggers do not see that. */
  readonly anew: boolean;
}

interface WatchInput {
  readonly session: Session;
  /** Of all its statements. */
  readonly text: string;
  /** Names of the tables that UPDATEs among them name. */
  readonly updated: readonly string[];
  /** Number of the first of them in the file. */
  readonly from: number;
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
  /** Tables that are older than the migration. */
  #existing: ReadonlySet<number> = new Set();
  #last: Writes | null = null;
  #eventTriggers = false;
  #free: ReadonlySet<string> = new Set();
  /** What has run since the last look. */
  #since: Step[] = [];

  constructor(input: WatchInput) {
    this.#input = input;
  }

  /** Before the transaction begins: a query in it would fix its isolation level. */
  async begin(): Promise<void> {
    const { session, namings, from, updated } = this.#input;
    const { tables } = await readWrites(session);
    this.#eventTriggers = await hasEventTriggers(session);
    if (updated.length > 1) this.#free = await freeColumns(session, updated);
    // The migration itself may have made some, in a transaction before this one.
    const before = namings.filter(({ statement }) => statement < from);
    const older = [...tables.values()].filter((table) => !originOf(table, [], before).made);
    this.#existing = new Set(older.map(({ oid }) => oid));
  }

  /** What event triggers write when something is made is no step's: then what makes and what writes are sent apart. */
  cut(steps: readonly Step[]): Step[][] {
    const cuts: Step[][] = [];
    for (const step of steps) {
      const before = cuts.at(-1)?.at(-1);
      if (before === undefined || (this.#eventTriggers && mayWrite(before) !== mayWrite(step)))
        cuts.push([step]);
      else cuts.at(-1)?.push(step);
    }
    return cuts;
  }

  /** Whether it does not matter in which order rows of the table get old values of these columns. */
  areFree(table: string, columns: readonly string[]): boolean {
    return columns.every((column) => this.#free.has(JSON.stringify([table, column])));
  }

  /** Whether it is to be looked before these steps run. */
  isDueBefore(steps: readonly Step[]): boolean {
    return (this.#last === null || this.#eventTriggers) && steps.some(mayWrite);
  }

  /** What was written since the last look need not be kept. */
  async skip(): Promise<void> {
    this.#since = [];
    this.#last = await this.#read();
  }

  /** These are looked at together with what runs until the next look: looking takes time for each table that there is. */
  ran(steps: readonly Step[]): void {
    this.#since.push(...steps);
  }

  /** Whose rows were written since the last look, by one of the steps that ran. */
  async look(keeps: ReadonlySet<number>): Promise<void> {
    const steps = this.#since;
    if (steps.some(mayWrite)) await this.#compare(steps, keeps);
  }

  async #compare(steps: readonly Step[], keeps: ReadonlySet<number>): Promise<void> {
    const before = this.#last;
    await this.skip();
    const now = this.#last;
    if (before === null || now === null || !now.counted) return;
    const rewritten = await this.#rewritten(steps);
    const found: TableWrites[] = [];
    let anew = false;
    for (const table of now.tables.values()) {
      const then = before.tables.get(table.oid);
      const isAnew = then !== undefined && then.file !== table.file && !rewritten.has(table.oid);
      if (!isAnew && table.count === (then?.count ?? 0)) continue;
      if (!this.#existing.has(table.oid)) continue;
      this.#written.set(table.oid, table);
      if ([table.oid, ...table.above].some((oid) => keeps.has(oid))) continue;
      // By the name that it had before: that is how it is found when this is tried again.
      found.push({ ...(then ?? table), count: Math.abs(table.count - (then?.count ?? 0)) });
      anew ||= isAnew;
    }
    // A step of which nothing is kept may have dropped them.
    if (!steps.some((step) => this.#input.isGiven(step)))
      for (const table of before.tables.values()) {
        const isGone = this.#existing.has(table.oid) && !now.tables.has(table.oid);
        if (!isGone || [table.oid, ...table.above].some((oid) => keeps.has(oid))) continue;
        found.push(table);
        anew = true;
      }
    const open = steps.filter((step) => mayWrite(step) && !this.#input.isGiven(step));
    if (found.length > 0 && (open.length > 0 || steps.length === 0))
      this.missed.push({ steps: open, exact: steps.length === open.length, tables: found, anew });
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
    await this.#compare([], around.keeps ?? new Set());
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

  /** Oids of the tables that the steps may have written anew themselves, whatever code did meanwhile. */
  async #rewritten(steps: readonly Step[]): Promise<ReadonlySet<number>> {
    const named = steps.flatMap(({ rewrites }) => rewrites ?? []);
    return new Set(named.length === 0 ? [] : await trees(this.#input.session, named));
  }
}

const mayWrite = ({ writes }: Step): boolean => writes !== 'never';

export const namesOf = (tables: readonly TableWrites[]): { schema: string; name: string }[] =>
  tables.map(({ schema, name }) => ({ schema, name }));
