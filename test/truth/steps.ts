/** What one statement did, told from the catalogue before and after it. Pure. */
import type { Effect, Validation } from './observation.ts';
import { type ConstraintFacts, type IndexFacts, modes, type Snapshot, type TableFacts } from './snapshot.ts';

export interface Step {
  readonly text: string;
  readonly before: Snapshot;
  readonly after: Snapshot;
  /** Tables that had rows and which the statement emptied at a stroke. */
  readonly emptied: ReadonlySet<number>;
  /** Ran outside of a transaction block, where no statistics are to be had. */
  readonly bare: boolean;
}

export interface StepOutcome {
  readonly effects: readonly { readonly effect: Effect; readonly table: number }[];
  readonly concurrent: readonly number[];
  readonly validations: readonly (Omit<Validation, 'table'> & { readonly table: number })[];
}

/** One table that was there before and after the statement. */
interface Change {
  readonly step: Step;
  readonly was: TableFacts;
  readonly is: TableFacts;
  readonly rewritten: boolean;
  readonly moved: boolean;
  readonly built: readonly IndexFacts[];
  /** Whether the table was read, not counting what building the indexes reads. */
  readonly scanned: boolean;
}

export function outcomeOf(step: Step): StepOutcome {
  const changes = [...step.after.tables.values()].flatMap((is) => {
    const was = step.before.tables.get(is.oid);
    return was === undefined ? [] : [changeOf(step, was, is)];
  });
  const concurrently = step.bare && /\bconcurrently\b/i.test(step.text);
  const found = changes.flatMap((change) =>
    effectsOf(change).map((effect) => ({ effect, table: change.is.oid })),
  );
  return {
    effects: [
      ...found.filter(({ effect }) => !(concurrently && effect === 'indexBuild')),
      ...[...step.emptied].map((table) => ({ effect: 'dataLoss' as const, table })),
    ],
    concurrent: concurrently
      ? found.filter(({ effect }) => effect === 'indexBuild').map(({ table }) => table)
      : [],
    validations: changes.flatMap(validationsOf),
  };
}

function changeOf(step: Step, was: TableFacts, is: TableFacts): Change {
  const moved = was.file !== is.file;
  const rewritten = moved && !step.emptied.has(is.oid) && !/^\s*truncate\b/i.test(step.text);
  const built = builtIndexes(step, is, rewritten, moved);
  const scans = is.scans - was.scans;
  return { step, was, is, moved, rewritten, built, scanned: !step.bare && scans > built.length };
}

/** A rewrite builds all indexes again: only those that are new in name or in text are builds of their own. */
function builtIndexes(step: Step, table: TableFacts, rewritten: boolean, moved: boolean): IndexFacts[] {
  const indexes = [...step.before.indexes.values()];
  const files = new Set(indexes.map(({ file }) => file));
  const names = new Set(indexes.filter((index) => index.table === table.oid).map(({ name }) => name));
  return [...step.after.indexes.values()].filter((index) => {
    if (index.table !== table.oid || index.file === 0 || files.has(index.file)) return false;
    if (step.before.indexes.has(index.oid)) return !moved;
    return !rewritten || !names.has(index.name) || isAdded(step.text, index.name);
  });
}

const isAdded = (text: string, name: string): boolean =>
  text
    .toLowerCase()
    .replaceAll(/["\s]+/g, ' ')
    .includes(`add constraint ${name.toLowerCase()} `);

function effectsOf(change: Change): Effect[] {
  const { rewritten, built, scanned } = change;
  const effects: Effect[] = [];
  if (rewritten) effects.push('rewrite');
  if (built.length > 0) effects.push('indexBuild');
  if (newConstraints(change, 'f').some((key) => isForeignKeyScan(change, key)))
    effects.push('foreignKeyScan');
  if (validationsOf(change).some(({ blocking }) => blocking)) effects.push(...validatedEffects(change));
  // What is checked while the rows are copied anyway is part of the rewrite.
  if (scanned && !rewritten) effects.push(...scanEffects(change));
  return [...new Set(effects)];
}

function scanEffects(change: Change): Effect[] {
  const { step, was, is } = change;
  const effects: Effect[] = [];
  const became = is.columns.some(([number, notNull]) =>
    was.columns.some(([other, before]) => other === number && !before && notNull),
  );
  if (became || domainsBecameNotNull(step)) effects.push('notNullScan');
  const partitioned = step.before.partitions !== step.after.partitions && is.isPartition;
  if (newConstraints(change, 'c').length > 0 || domainsGotChecks(step) || partitioned)
    effects.push('checkScan');
  return effects;
}

/** New and valid at once. */
const newConstraints = ({ step, is }: Change, kind: 'c' | 'f'): ConstraintFacts[] =>
  [...step.after.constraints.values()].filter(
    ({ oid, table, kind: its, validated }) =>
      table === is.oid && its === kind && validated && !step.before.constraints.has(oid),
  );

/** Another type of a column makes its foreign keys anew; these are checked again only where the types ask for it. */
function isForeignKeyScan({ step, was, is, rewritten }: Change, key: ConstraintFacts): boolean {
  const rebuilt = [...step.before.constraints.values()].some(
    ({ table, kind, name }) => table === is.oid && kind === 'f' && name === key.name,
  );
  if (!rebuilt || isAdded(step.text, key.name)) return true;
  return !rewritten && is.scans + indexScans(step.after, is) > was.scans + indexScans(step.before, is);
}

const indexScans = (snapshot: Snapshot, table: TableFacts): number =>
  [...snapshot.indexes.values()]
    .filter((index) => index.table === table.oid)
    .reduce((sum, { scans }) => sum + scans, 0);

const domainsBecameNotNull = ({ before, after }: Step): boolean =>
  [...after.domains].some(([oid, notNull]) => notNull && before.domains.get(oid) === false);

const domainsGotChecks = ({ before, after }: Step): boolean =>
  [...after.constraints.values()].some(
    ({ oid, table, validated }) =>
      table === 0 && validated && before.constraints.get(oid)?.validated !== true,
  );

/** Validating takes no lock that blocks; one that an earlier statement of the transaction took blocks all the same. */
function validationsOf({ step, is }: Change): (Omit<Validation, 'table'> & { table: number })[] {
  const held = step.before.locks.get(is.oid) ?? -1;
  return newlyValid(step, is.oid).map(({ name }) => ({
    table: is.oid,
    constraint: name,
    blocking: held >= modes.indexOf('SHARE'),
  }));
}

const newlyValid = (step: Step, table: number): ConstraintFacts[] =>
  [...step.after.constraints.values()].filter(
    (constraint) =>
      constraint.table === table &&
      constraint.validated &&
      step.before.constraints.get(constraint.oid)?.validated === false,
  );

const validatedEffects = ({ step, is }: Change): Effect[] =>
  newlyValid(step, is.oid).map(({ kind }) => (kind === 'f' ? 'foreignKeyScan' : 'checkScan'));
