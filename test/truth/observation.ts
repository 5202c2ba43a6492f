/** What a migration really did to the tables that were there before it. */

/** What keeps others waiting for as long as the table is large, by the names that the analyser uses, too. */
export const blocking = ['rewrite', 'indexBuild', 'foreignKeyScan', 'checkScan', 'notNullScan'] as const;
export const effects = [...blocking, 'dataLoss'] as const;
export type Effect = (typeof effects)[number];

export interface Finding {
  readonly effect: Effect;
  readonly table: string;
  /** 1-based number of the statement in the file. */
  readonly statement: number;
}

export interface Lock {
  readonly table: string;
  /** The strongest one that was held, such as `ACCESS EXCLUSIVE`. */
  readonly mode: string;
}

/** A constraint that was there, not valid, and was validated. It is an effect only under a lock that blocks. */
export interface Validation {
  readonly table: string;
  readonly constraint: string;
  readonly blocking: boolean;
}

export interface Observation {
  readonly name: string;
  /** `appliedEmpty`: it failed with rows in the tables, and was applied without. */
  readonly outcome: 'applied' | 'appliedEmpty' | 'failed';
  /** Why it failed: with rows, or at all. */
  readonly error?: string;
  /** Whether the tables had rows. */
  readonly rows: boolean;
  /** `statements`: PostgreSQL refused the file as one transaction, or it has transactions of its own. */
  readonly ran: 'transaction' | 'statements';
  readonly effects: readonly Effect[];
  readonly findings: readonly Finding[];
  readonly locks: readonly Lock[];
  /** Tables of which indexes were built without blocking. */
  readonly concurrent: readonly string[];
  readonly validations: readonly Validation[];
  readonly renamed: readonly string[];
  readonly rowsInserted: Readonly<Record<string, number>>;
  readonly rowsUpdated: Readonly<Record<string, number>>;
  readonly rowsDeleted: Readonly<Record<string, number>>;
  /** No effect, no failure, no other name, no row changed that was there. */
  readonly harmless: boolean;
  readonly milliseconds: number;
}
