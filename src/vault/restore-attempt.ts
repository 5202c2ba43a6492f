import type { Session } from '../db/session.ts';
import { inVault, type VaultEntry } from './entry.ts';
import { type Conflict, listConflicts } from './list.ts';
import {
  leaveInserts,
  lockNet,
  type Net,
  readNet,
  removedRows,
  undoInserts,
  undoUpdates,
} from './restore-changes.ts';
import { oldRows, sourceOfChanges, undoOneByOne } from './restore-one-by-one.ts';
import { leaveOrphans } from './restore-parents.ts';
import { insertRows, isIn, type RowSource } from './restore-rows.ts';
import { restoreSequence } from './restore-sequence.ts';
import { type Filling, restoreValues } from './restore-values.ts';
import { vaultSchema } from './schema.ts';
import type { Table } from './table.ts';
import {
  findTarget,
  lookForTarget,
  missing,
  prepareTargets,
  readForeignKeys,
  type TableName,
} from './target.ts';
import { placeName, type Reason, type Source, type Unfit, type Work } from './work.ts';

export interface RestoreOutcome {
  readonly id: string;
  readonly kind: VaultEntry['kind'];
  readonly schema: string;
  readonly table: string;
  /** Rows that were put back, taken out, or given their old values. */
  readonly restored: number;
  /** Rows that needed nothing. */
  readonly present: number;
  /** How many were left as they are now, by reason. All of them are in the vault's list. */
  readonly conflicts: Readonly<Partial<Record<Exclude<Reason, 'present'>, number>>>;
  readonly examples: readonly Conflict[];
}

interface Options {
  readonly made?: ReadonlyMap<string, 'added' | 'emptied'>;
  readonly copies?: ReadonlyMap<string, VaultEntry>;
  /** Whether rows may point only to what is sure to come back. */
  readonly sureOnly?: boolean;
}

/** One attempt to put entries back: statement after statement, the last one first. */
export class RestoreAttempt {
  readonly #session: Session;
  readonly #work: Work;
  readonly #options: Options;
  readonly #targets = new Map<string, Table>();
  readonly #nets = new Map<string, Net>();
  /** Tables to which rows that are put back may point. */
  readonly #parents = new Set<number>();
  /** Rows that are still to be put back. */
  #awaited: readonly RowSource[] = [];
  readonly unfit: Unfit[] = [];
  readonly #counts = new Map<string, Partial<Record<Reason, number>>>();
  #finish: () => Promise<void> = async () => {};

  constructor(session: Session, work: Work, options: Options) {
    this.#session = session;
    this.#work = work;
    this.#options = options;
  }

  async prepare(entries: readonly VaultEntry[], into: ReadonlyMap<string, TableName>): Promise<void> {
    const session = this.#session;
    for (const entry of entries) {
      if (entry.kind === 'sequence') continue;
      // With its table the rest of the rows is gone, too: what was changed in it is told, as a conflict.
      const find = entry.kind === 'changes' ? lookForTarget : findTarget;
      const target = await find(session, entry, into.get(entry.id));
      if (target !== null) this.#targets.set(entry.id, target);
    }
    const tables = new Map([...this.#targets.values()].map((table) => [table.oid, table]));
    const updated = entries
      .filter(({ kind }) => kind !== 'table' && kind !== 'rows')
      .flatMap(({ id }) => this.#targets.get(id) ?? []);
    this.#finish = await prepareTargets(session, [...tables.values()], updated);
    for (const entry of entries) {
      if (entry.kind !== 'changes' || !this.#targets.has(entry.id)) continue;
      const net = await readNet(session, entry, this.#target(entry));
      if (net !== null) this.#nets.set(entry.id, net);
    }
    for (const net of [...this.#nets.values()].toSorted((a, b) => a.target.oid - b.target.oid))
      await lockNet(session, net);
    const sources = entries.map((entry) => this.#rows(entry)).filter((source) => source !== null);
    const hoped = this.#options.sureOnly === true ? [] : this.#hoped(entries);
    await leaveOrphans(session, sources, hoped, this.#work);
    this.#awaited = [...sources, ...hoped];
    for (const { target } of sources)
      for (const { parent } of await readForeignKeys(session, target.oid, 'of')) this.#parents.add(parent);
  }

  /** Rows that are undone one by one: only doing it tells whether they come back. */
  #hoped(entries: readonly VaultEntry[]): RowSource[] {
    return entries
      .filter((entry) => this.#isOneByOne(entry))
      .map((entry) => oldRows(entry, this.#target(entry)));
  }

  async finish(): Promise<void> {
    await this.#finish();
    for (const { relation } of this.#nets.values()) await this.#session.query(`drop table ${relation}`);
  }

  /**
   * Rows first that others may point to, then values, then what is to go. What is undone row by row cannot be tried
   * again: by then nothing else of the statement points to what it takes out.
   */
  async group(entries: readonly VaultEntry[]): Promise<RestoreOutcome[]> {
    const restored = new Map<string, number>();
    const add = (id: string, count: number): void => void restored.set(id, (restored.get(id) ?? 0) + count);
    const work = this.#work;
    for (const entry of entries) {
      const rows = this.#rows(entry);
      if (rows === null) continue;
      add(entry.id, await insertRows(rows, work));
      if ([...this.#parents].some((table) => isIn(rows.target, table)))
        this.unfit.push(...(await work.unfit(rows)));
      await this.#conclude(entry, rows);
      this.#awaited = this.#awaited.filter((source) => source.entry !== entry.id);
    }
    const nets = entries.flatMap(({ id }) => this.#nets.get(id) ?? []);
    const takeOut = async (): Promise<void> => {
      for (let taken = 1; taken > 0; ) {
        taken = 0;
        for (const net of nets) {
          const count = await undoInserts(this.#session, net, work);
          add(net.entry.id, count);
          taken += count;
        }
      }
    };
    const [oneByOne, atOnce] = partition(entries, (entry) => this.#isOneByOne(entry));
    for (const some of [atOnce, oneByOne]) {
      for (const entry of some) {
        const undone = await this.#values(entry);
        if (undone === null) continue;
        add(entry.id, undone.restored);
        await this.#conclude(entry, undone.source);
        this.#awaited = this.#awaited.filter((source) => source.entry !== entry.id);
      }
      await takeOut();
    }
    for (const net of nets) await this.#conclude(net.entry, await leaveInserts(net, work));
    const outcomes: RestoreOutcome[] = [];
    for (const entry of entries) {
      await this.#sequences(entry);
      outcomes.push(await this.#outcome(entry, restored.get(entry.id) ?? 0));
    }
    return outcomes;
  }

  #isOneByOne({ id, kind }: VaultEntry): boolean {
    return kind === 'changes' && this.#targets.has(id) && !this.#nets.has(id);
  }

  #fillingOf({ id }: VaultEntry): Filling {
    const { made, copies } = this.#options;
    return { columns: made?.get(id) ?? 'used', copy: copies?.get(id) ?? null };
  }

  #target(entry: VaultEntry): Table {
    const table = this.#targets.get(entry.id);
    if (table === undefined) throw missing(entry, `${entry.schema}.${entry.table}`);
    return table;
  }

  #rows(entry: VaultEntry): RowSource | null {
    const net = this.#nets.get(entry.id);
    if (net !== undefined) return removedRows(net);
    if ((entry.kind !== 'table' && entry.kind !== 'rows') || entry.relation === null) return null;
    const columns = (entry.facts.columns ?? []).map(({ name }) => name);
    const at = placeName(columns);
    return {
      entry: entry.id,
      at,
      target: this.#target(entry),
      columns: columns.filter((name) => !this.#isVirtual(entry, name)),
      sql: `(select v.ctid as ${at}, v.* from ${inVault(entry.relation)} v)`,
    };
  }

  #isVirtual(entry: VaultEntry, name: string): boolean {
    return entry.facts.columns?.some((column) => column.name === name && column.generated) === true;
  }

  async #values(entry: VaultEntry): Promise<{ source: Source; restored: number } | null> {
    if (entry.kind === 'column' || entry.kind === 'values' || entry.kind === 'label')
      return restoreValues(
        this.#session,
        entry,
        this.#target(entry),
        this.#fillingOf(entry),
        this.#awaited,
        this.#work,
      );
    if (entry.kind !== 'changes') return null;
    if (!this.#targets.has(entry.id)) {
      const source = sourceOfChanges(entry);
      await this.#work.leave(source, 'tableGone', 'its table is not there any more', 'true');
      return { source, restored: 0 };
    }
    const net = this.#nets.get(entry.id);
    return net === undefined
      ? undoOneByOne(this.#session, entry, this.#target(entry), this.#work)
      : undoUpdates(this.#session, net, this.#awaited, this.#work);
  }

  async #conclude(entry: VaultEntry, source: Source): Promise<void> {
    const counts = { ...this.#counts.get(entry.id) };
    for (const [reason, count] of Object.entries(await this.#work.conclude(source)) as [Reason, number][])
      counts[reason] = (counts[reason] ?? 0) + count;
    this.#counts.set(entry.id, counts);
  }

  async #sequences(entry: VaultEntry): Promise<void> {
    for (const fact of entry.facts.sequences ?? []) {
      const found = await restoreSequence(this.#session, fact, this.#targets.get(entry.id) ?? null);
      if (!found && entry.kind === 'sequence') throw missing(entry, `${fact.schema}.${fact.name}`);
    }
  }

  async #outcome(entry: VaultEntry, restored: number): Promise<RestoreOutcome> {
    const { present = 0, ...conflicts } = this.#counts.get(entry.id) ?? {};
    await this.#session.query(`update ${vaultSchema}.entry set state = 'restored' where id = $1`, [entry.id]);
    const { id, kind, schema, table } = entry;
    const some = Object.keys(conflicts).length > 0;
    const examples = some ? await listConflicts(this.#session, id, 20) : [];
    return { id, kind, schema, table, restored, present, conflicts, examples };
  }
}

function partition<T>(all: readonly T[], fits: (one: T) => boolean): [fitting: T[], others: T[]] {
  return [all.filter(fits), all.filter((one) => !fits(one))];
}
