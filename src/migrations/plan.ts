import { createHash } from 'node:crypto';
import type { JsonAnalysis } from '../analysis/reports/json.ts';
import type { Schema } from '../analysis/schema/schema.ts';
import type { RelationName } from '../sql/relations.ts';
import type { Estimate } from '../vault/estimate.ts';
import type { ComparedMigration, Comparison } from './compare.ts';
import type { Fault } from './fault.ts';
import type { History } from './history.ts';
import { planMigration } from './plan-migration.ts';
import type { Bundle } from './read.ts';
import { type PlacedNaming, readRemovals } from './removals.ts';
import type { Segment } from './segments.ts';
import { faultsOf } from './violations.ts';

export interface PlannedMigration {
  readonly name: string;
  readonly checksum: string;
  readonly segments: readonly Segment[];
  /** What it calls otherwise: what is kept is kept by the names from before it. */
  readonly namings: readonly PlacedNaming[];
  /** Relations that it locks for more than reading. */
  readonly relations: readonly RelationName[];
  readonly makesTemporary: boolean;
  /** Whether it sets `lock_timeout` itself: then that holds. */
  readonly setsLockTimeout: boolean;
  /** Whether settings of the session may be others afterwards. */
  readonly changesSession: boolean;
  /** Whether it is run in more than one transaction, and so needs the journal. */
  readonly journalled: boolean;
  /** The history's row of an attempt whose process is gone and which is to be finished. */
  readonly resumes: string | null;
  /** How much of what it removes the vault will take in; null where it removes nothing, or nobody looked. */
  readonly keeps: Estimate | null;
}

/** A pending migration that waits for data migrations. */
export interface Held {
  readonly migration: string;
  /** Pending as well, and to be applied after it. */
  readonly after: readonly string[];
  readonly waitsFor: readonly {
    readonly name: string;
    /** Id of the newest of that name; null where none was ever started. */
    readonly dataMigration: string | null;
    readonly state: string | null;
  }[];
}

/** The ordered steps that would run. JSON-safe: it can be shown, approved, stored and executed. */
export interface Plan {
  readonly mode: 'atomic';
  readonly bundle: string;
  /** Of the state it was made for: history, bundle, server, what waits. */
  readonly fingerprint: string;
  readonly serverVersion: string;
  readonly migrations: readonly PlannedMigration[];
  /** Before which the plan ends; null where it has all that is pending. */
  readonly held: Held | null;
  readonly faults: readonly Fault[];
  /** What the pending migrations do to the application; null where nothing is pending, or nobody asked. */
  readonly analysis: JsonAnalysis | null;
  readonly createsHistory: boolean;
  /** Whether the journal is needed in the target. */
  readonly needsJournal: boolean;
}

/** Whether a deployment applies it. */
export const isPending = ({ state }: Pick<ComparedMigration, 'state'>): boolean =>
  state === 'pending' || state === 'interrupted' || state === 'rolled back';

/** Makes the plan of all pending migrations. Pure: it needs `loadParser` to have run. */
export function makePlan(input: {
  bundle: Bundle;
  history: History;
  comparison: Comparison;
  serverVersion: string;
  analysis?: JsonAnalysis | null;
  /** The database's, in which what the migrations remove is looked for; without it nothing will be kept. */
  schema?: Schema | null;
  /** What waits, and is left out of the comparison. */
  held?: Held | null;
}): Plan {
  const { bundle, history, comparison, serverVersion, analysis = null, schema = null, held = null } = input;
  const byName = new Map(bundle.migrations.map((migration) => [migration.name, migration]));
  // What a rule says of a migration tells more than what follows from it.
  const faults: Fault[] = [...comparison.faults, ...(analysis === null ? [] : faultsOf(analysis))];
  const migrations = comparison.migrations.filter(isPending).flatMap(({ name, state, row }, index) => {
    const migration = byName.get(name);
    if (migration === undefined) return [];
    const planned = planMigration(migration, {
      resumes: state === 'interrupted' ? (row?.id ?? null) : null,
      removalsOf: schema === null ? null : (statements) => readRemovals(statements, schema, index),
    });
    faults.push(...planned.faults);
    return [planned.migration];
  });
  return {
    mode: 'atomic',
    bundle: bundle.id,
    fingerprint: fingerprint(bundle, history, serverVersion, held),
    serverVersion,
    migrations,
    held,
    faults,
    analysis,
    createsHistory: !history.exists,
    needsJournal: migrations.some((migration) => migration.journalled),
  };
}

/** Of what a plan rests on: another fingerprint means that the plan is stale. */
export function fingerprint(
  bundle: Bundle,
  history: History,
  serverVersion: string,
  held: Held | null,
): string {
  const rows = history.rows.map((row) => [
    row.id,
    row.checksum,
    row.finishedAt !== null,
    row.rolledBackAt !== null,
  ]);
  return createHash('sha256')
    .update(JSON.stringify([bundle.id, serverVersion, history.exists, rows, held?.migration ?? null]))
    .digest('hex');
}
