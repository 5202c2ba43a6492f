import { isBrief } from '../sql/brief.ts';
import {
  addsEnumValue,
  blocksNobody,
  chains,
  changesNames,
  commitsItself,
  makesTemporary,
  mentions,
  runsAs,
  setsSession,
  summarise,
  takesNoBlockingLock,
  waitsForSnapshots,
} from '../sql/classify.ts';
import { lockedRelations, type RelationName } from '../sql/relations.ts';
import type { Statement } from '../sql/split.ts';
import { addsRows, columnsSet, rewrittenBy, type Writes, writesOf } from '../sql/writes.ts';
import type { Removal } from '../vault/removals.ts';

/** One unit of a plan: a statement of the file, by its place in it. */
export interface Step {
  /** 1-based number of the statement in the file. */
  readonly statement: number;
  /** Characters of the file before it, and its length. */
  readonly offset: number;
  readonly length: number;
  readonly line: number;
  readonly column: number;
  readonly summary: string;
  /** Whether it takes locks that block others; these are subject to `lockTimeoutMs`. */
  readonly blocks: boolean;
  /** Whether it takes no time worth showing once it has its locks. */
  readonly brief: boolean;
  /** `CONCURRENTLY`: waits until every older transaction has ended. */
  readonly waitsForSnapshots: boolean;
  /** Changes nothing but a setting of the session. */
  readonly setting: boolean;
  /** Sets something for the rest of the file: made again where a file is gone on with. */
  readonly replays: boolean;
  /** Run alone, it may commit parts of its work by itself. */
  readonly commitsItself: boolean;
  /** What it takes away of what was there before the migration. */
  readonly removals: readonly Removal[];
  /** What rows it may write, if only by code that it runs. */
  readonly writes: Writes;
  /** The table that it may write anew by itself; in that its rows stay what they are. */
  readonly rewrites: RelationName | null;
  /** An `INSERT … VALUES` and no more: a run of them is carried out, and kept, as one. */
  readonly addsRows: boolean;
  /** The columns that it sets, an UPDATE or an upsert: those that set the same may be kept as one, too. */
  readonly sets: readonly string[];
  /** No statement: the place at which data is put back. */
  readonly restores: boolean;
}

/** Kind of the statement that stands for the place at which data is put back. */
export const restoringKind = 'Restore';

/** Steps that are run together. */
export interface Segment {
  /** `alone`: one statement that PostgreSQL refuses inside a transaction, or a text that only the server can read. */
  readonly runs: 'transaction' | 'alone';
  /** The file itself rolls this block back. */
  readonly rollsBack: boolean;
  /** The file's own BEGIN … COMMIT: never split. */
  readonly explicit: boolean;
  /** How its transaction begins: `begin`, or the file's own BEGIN with its options. */
  readonly begin: string;
  readonly steps: readonly Step[];
}

/**
 * Cuts a file into segments: as few transactions as PostgreSQL allows.
 * @param removals what each statement removes; of a text that is not to be kept from anything, nothing
 */
export function cut(
  statements: readonly Statement[],
  removals: readonly (readonly Removal[])[] = [],
): Segment[] {
  const segments: Segment[] = [];
  let steps: Step[] = [];
  let labels: string[] = [];
  let explicit = false;
  let begin = 'begin';
  const toStep = stepMaker(removals);
  const close = (rollsBack = false): void => {
    if (steps.length > 0) segments.push({ runs: 'transaction', rollsBack, explicit, begin, steps });
    steps = [];
    labels = [];
  };
  statements.forEach((statement, index) => {
    const how = runsAs(statement);
    if (how === 'begin') {
      if (!explicit) {
        close();
        begin = statement.text;
      }
      explicit = true;
    } else if (how === 'commit' || how === 'rollback') {
      // Without a BEGIN of its own, PostgreSQL only warns of these.
      if (explicit) close(how === 'rollback');
      explicit = explicit && chains(statement);
      if (!explicit) begin = 'begin';
    } else if (how === 'alone' && !explicit) {
      close();
      segments.push(runAlone([toStep(statement, index)]));
    } else {
      if (!explicit && labels.some((label) => mentions(statement, label))) close();
      const label = addsEnumValue(statement);
      if (label !== null) labels.push(label);
      steps.push(toStep(statement, index));
    }
  });
  close();
  return segments.flatMap(setApartSettings);
}

export const runAlone = (steps: readonly Step[]): Segment => ({
  runs: 'alone',
  rollsBack: false,
  explicit: false,
  begin: '',
  steps,
});

/** Settings before a statement that runs alone take no transaction of their own. */
const setApartSettings = (segment: Segment): Segment[] =>
  segment.runs === 'transaction' && !segment.explicit && segment.steps.every((step) => step.setting)
    ? segment.steps.map((step) => runAlone([step]))
    : [segment];

/** Makes the file's steps in order: what a statement costs depends on whether its table is new. */
function stepMaker(removals: readonly (readonly Removal[])[]): (statement: Statement, index: number) => Step {
  const made = new Set<string>();
  const key = ({ schema, name }: RelationName): string => JSON.stringify([schema, name]);
  const isNew = (relation: RelationName): boolean => made.has(key(relation));
  return (statement, index) => {
    const relations = lockedRelations({ [statement.kind]: statement.node });
    const onlyNew = relations.length > 0 && relations.every(isNew);
    const step = {
      statement: index + 1,
      offset: statement.offset,
      length: statement.text.length,
      line: statement.line,
      column: statement.column,
      summary: summarise(statement.text),
      blocks: !onlyNew && !blocksNobody(statement) && !takesNoBlockingLock(statement),
      brief: isBrief(statement, isNew),
      waitsForSnapshots: waitsForSnapshots(statement),
      setting: setsSession(statement) && statement.kind === 'VariableSetStmt',
      replays: setsSession(statement),
      commitsItself: commitsItself(statement),
      removals: removals[index] ?? [],
      writes: writesOf(statement),
      rewrites: rewrittenBy(statement),
      addsRows: addsRows(statement),
      sets: columnsSet(statement),
      restores: statement.kind === restoringKind,
    };
    if (changesNames(statement)) made.clear();
    if (
      statement.kind === 'CreateStmt' &&
      statement.node.if_not_exists !== true &&
      !makesTemporary(statement)
    )
      for (const relation of relations.slice(0, 1)) made.add(key(relation));
    return step;
  };
}

/** Whether the segment changes the database, rather than the session only. */
export const isEffective = (segment: Segment): boolean => segment.steps.some((step) => !step.setting);

/** A transaction cut in two before one of its steps. */
export function splitBefore(segment: Segment, step: number): Segment[] {
  return [
    { ...segment, steps: segment.steps.slice(0, step) },
    { ...segment, steps: segment.steps.slice(step) },
  ].filter((part) => part.steps.length > 0);
}

/** A transaction with one of its steps taken out, to run alone. */
export function takeOut(segment: Segment, step: number): Segment[] {
  const alone = runAlone(segment.steps.slice(step, step + 1));
  const parts = [
    { ...segment, steps: segment.steps.slice(0, step) },
    alone,
    { ...segment, steps: segment.steps.slice(step + 1) },
  ];
  return parts.filter((part) => part.steps.length > 0);
}
