/** What a kind of data migration is: it says which rows it goes through, and how a batch of them is changed. */
import type { z } from 'zod';
import type { Session } from '../db/session.ts';
import type { ErrorRecord } from '../errors.ts';
import type { Table } from '../vault/table.ts';
import type { Check } from './check.ts';
import type { DataMigrationEvent } from './events.ts';
import type { BaseSpec } from './forms.ts';
import type { Key, KeyValues } from './keys.ts';

/** The sessions in which a kind looks at the catalogue: one and the same where it writes to the database that it reads. */
export interface KindPlaces {
  /** Of the data migration. */
  readonly id: string;
  readonly source: Session;
  readonly written: Session;
  /** Schema of tables that are given without one. */
  readonly sourceSchema: string;
  readonly writtenSchema: string;
  /** The configured folder with modules; undefined where none is configured. */
  readonly transforms: string | undefined;
  /** `Work.code` of the beginning, which must be the same to the end; null where any will do. */
  readonly code: string | null;
}

/** The table whose rows are gone through, in the order of the key. */
export interface Source {
  readonly table: Table;
  /** Null: all of it is one batch, out of one snapshot. */
  readonly key: Key | null;
  /** A condition for SQL on the table's columns: true for the rows that need it. */
  readonly where: string;
}

export type KeyedSource = Source & { readonly key: Key };

/**
 * One statement changes a batch, in the database that both is read and written.
 * @param rows a condition on the source's columns, true for the batch's rows
 */
export type ChangeSql = (rows: string) => Change;

export interface Change {
  /** Parts of a WITH list that come before it: `" gone" as (…)`. Their names begin with a blank, as no table's does. */
  readonly with: readonly string[];
  /** Changes the rows; what PostgreSQL counts for it are the rows that were changed. */
  readonly sql: string;
}

/** A batch that goes through this process. */
export interface TransferBatch {
  /** In a transaction of its own, READ COMMITTED, which is committed after the written one. */
  readonly read: Session;
  /** In the transaction that also writes the cursor. */
  readonly write: Session;
  /** A condition on the source's columns, true for the batch's rows. */
  readonly rows: string;
  /** ORDER BY list of the key; null without a key. */
  readonly order: string | null;
  /** For messages: `batch 17 of range 3`. */
  readonly name: string;
  /** Rows at fault that may be returned in `faults`. */
  readonly tolerated: number;
  /**
   * The batch was written before, and it is not known whether the transaction that read was committed: rows which are
   * still there are written again, in the place of what was written.
   */
  readonly again: boolean;
  readonly signal: AbortSignal;
}

export interface Transferred {
  readonly changed: number;
  /** Rows that were left out, by their key. They go to the quarantine. */
  readonly faults: readonly RowAtFault[];
}

export interface RowAtFault {
  readonly key: KeyValues;
  readonly error: ErrorRecord;
}

export type Transfer = (batch: TransferBatch) => Promise<Transferred>;

/** How a row that is inserted meanwhile is changed, by a trigger on the table whose rows are gone through. */
export interface LaterChange {
  readonly when: 'before' | 'after';
  /** Statements of PL/pgSQL over `new`; `" row"` is a record for their use. */
  readonly body: string;
}

/** A data migration of a kind, made ready: everything was checked against the live catalogue. */
export interface Work {
  readonly source: Source;
  /** What is written; the source itself where that is changed. */
  readonly written: Table;
  /**
   * Rows are gone from the source afterwards. A transfer removes them in the transaction that reads, which is committed
   * last; so after a crash a batch may have to be done again.
   */
  readonly removes: boolean;
  readonly how:
    | { readonly by: 'statement'; readonly change: ChangeSql }
    | { readonly by: 'transfer'; readonly transfer: Transfer };
  /** By what it is judged once every row was gone through; its cursors alone tell where it is absent. */
  readonly check?: Check;
  /** For `laterRows: "trigger"`; or why that cannot be. @throws AppError `MAPPING_INVALID` */
  readonly later: (() => Promise<LaterChange>) | { readonly impossible: string };
  /** Hash of code that is no part of the spec. */
  readonly code?: string;
  /**
   * Makes what the kind needs before the first batch, in an open transaction; what is done from then on is what it returns.
   * Done again it finds what it has made. `dry`: without what locks others, for a transaction that is rolled back.
   */
  readonly begin?: (how: 'real' | 'dry') => Promise<Work>;
  /** It has been validated, and what was done since makes that impossible to repeat. */
  readonly judged?: boolean;
  /** What is left to do once the validation has passed; called again where it was interrupted. */
  readonly finish?: (doing: Doing) => Promise<void>;
  /** Ends what the kind itself has started, such as threads. */
  close(): Promise<void>;
}

/** Who runs it. */
export interface Doing {
  readonly signal: AbortSignal;
  readonly report: (event: DataMigrationEvent) => void;
}

/** To add one: a file in `kinds/`, a line in `kinds/index.ts`, a section in docs/data-migrations.md. */
export interface Kind<Spec extends BaseSpec = BaseSpec> {
  readonly name: Spec['kind'];
  readonly summary: string;
  readonly form: z.ZodType<Spec>;
  /** Name of the registered database that is written; undefined: the one that is read. */
  writtenTo(spec: Spec): string | undefined;
  /** @throws AppError `TABLE_NOT_FOUND`, `MAPPING_INVALID`, `KEY_UNUSABLE`, those of the kind */
  prepare(spec: Spec, places: KindPlaces): Promise<Work>;
}

export const defineKind = <Spec extends BaseSpec>(kind: Kind<Spec>): Kind<Spec> => Object.freeze(kind);
