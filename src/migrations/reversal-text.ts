/** A rollback's text: where the data comes back, and what stands before and behind that place. */
import { quoteIdentifier } from '../db/quote.ts';
import { SyntaxFault } from '../sql/parse.ts';
import { placeOf, type Statement, splitStatements } from '../sql/split.ts';
import {
  type AlterTableCmd,
  type AlterTableStmt,
  constantOf,
  type Node,
  type RangeVar,
  type RenameStmt,
  relationName,
} from '../sql/tree.ts';
import type { VaultEntry } from '../vault/entry.ts';
import type { WrittenName } from '../vault/removals.ts';
import { type AddedConstraint, addedConstraint } from './added-constraints.ts';
import { type MadePartition, madePartition } from './made-partition.ts';
import type { AddedIdentity, NotNull, RenamedConstraint } from './restorer.ts';
import { restoringKind } from './segments.ts';

/**
 * A line of its own in a rollback's text. At the last one all data comes back; at those before it what statements did to
 * rows is undone, as far as that is possible there.
 */
export const restoreMarker = '-- switchback: restore';

export interface ReversalText {
  /** With one among them for each place at which data comes back. */
  readonly statements: readonly Statement[];
  /** Numbers of the statements that stand for such a place, but for the last. */
  readonly early: ReadonlySet<number>;
  /** Number of the last. */
  readonly place: number;
  /** By the number of the statement, behind that place. */
  readonly notNull: ReadonlyMap<number, NotNull>;
  /** By the number of the statement, those that name a constraint otherwise. */
  readonly renamed: ReadonlyMap<number, RenamedConstraint>;
  /** By the number of the statement, on whichever side of it. */
  readonly constraints: ReadonlyMap<number, AddedConstraint>;
  /** By the number of the statement, on whichever side of it. */
  readonly partitions: ReadonlyMap<number, MadePartition>;
  /** By the number of the statement, those behind that place that make a column count. */
  readonly identities: ReadonlyMap<number, AddedIdentity>;
  /** Columns that the text makes before that place, or fills with NULL: what is in them is nobody's. */
  readonly made: readonly MadeColumn[];
}

interface MadeColumn {
  readonly table: WrittenName;
  readonly column: string;
  /** It was there before, and what stood in it is gone, be it only where a value does not fit. */
  readonly emptied: boolean;
}

/** @throws SyntaxFault */
export function readReversal(text: string): ReversalText {
  const statements = splitStatements(text);
  const places = markersIn(text, statements);
  const last = places.at(-1) ?? text.length;
  const markers = places.map((at) => ({
    text: '',
    offset: at,
    ...placeOf(text, at),
    kind: restoringKind,
    node: {},
  }));
  const earlyMarkers = markers.slice(0, -1);
  const before = [...statements.filter(({ offset }) => offset < last), ...earlyMarkers].sort(
    (a, b) => a.offset - b.offset,
  );
  const behind = statements.filter(({ offset }) => offset >= last);
  const all = [...before, ...markers.slice(-1), ...behind];
  return {
    statements: all,
    early: new Set(earlyMarkers.map((marker) => before.indexOf(marker) + 1)),
    place: before.length + 1,
    constraints: new Map(
      all.flatMap((statement, index): [number, AddedConstraint][] => {
        const added = addedConstraint(statement);
        return added === null ? [] : [[index + 1, added]];
      }),
    ),
    renamed: new Map(
      all.flatMap((statement, index): [number, RenamedConstraint][] => {
        const renamed = renamedConstraint(statement);
        return renamed === null ? [] : [[index + 1, renamed]];
      }),
    ),
    notNull: new Map(
      behind.flatMap((statement, index): [number, NotNull][] => {
        const notNull = onlyNotNull(statement);
        return notNull === null ? [] : [[before.length + 2 + index, notNull]];
      }),
    ),
    partitions: new Map(
      all.flatMap((statement, index): [number, MadePartition][] => {
        const made = madePartition(statement);
        return made === null ? [] : [[index + 1, made]];
      }),
    ),
    identities: new Map(
      behind.flatMap((statement, index): [number, AddedIdentity][] => {
        const identity = addedIdentity(statement);
        return identity === null ? [] : [[before.length + 2 + index, identity]];
      }),
    ),
    made: before.flatMap(madeBy),
  };
}

/** Ids of those entries whose columns the text makes, or fills with NULL, be it only where a value does not fit. */
export const madeIn = (
  { made }: Pick<ReversalText, 'made'>,
  entries: readonly VaultEntry[],
): Map<string, 'added' | 'emptied'> =>
  new Map(
    entries.flatMap(({ id, schema, table, columns }): [string, 'added' | 'emptied'][] => {
      const found = columns.map((column) =>
        made.filter(
          (one) =>
            one.column === column && one.table.name === table && (one.table.schema ?? schema) === schema,
        ),
      );
      if (found.length === 0 || found.some((ones) => ones.length === 0)) return [];
      return [[id, found.every((ones) => ones.some(({ emptied }) => !emptied)) ? 'added' : 'emptied']];
    }),
  );

/** As `madeIn`, of a migration's text; of one that does not parse nothing is known. */
export function madeInText(text: string, entries: readonly VaultEntry[]): Map<string, 'added' | 'emptied'> {
  try {
    return madeIn({ made: splitStatements(text).flatMap(madeBy) }, entries);
  } catch (error) {
    if (!(error instanceof SyntaxFault)) throw error;
    return new Map();
  }
}

/** Outside of statements, such as the text of a function; without a marker the data comes back at the end. */
function markersIn(text: string, statements: readonly Statement[]): number[] {
  const lines = [...text.matchAll(/^[ \t]*--[ \t]*switchback:[ \t]*restore[ \t]*$/gim)].map(
    ({ index }) => index,
  );
  const places = lines.filter((place) =>
    statements.every(({ offset, text: { length } }) => place < offset || place >= offset + length),
  );
  return places.length === 0 ? [text.length] : places;
}

const partsOf = ({ cmds = [] }: AlterTableStmt): AlterTableCmd[] =>
  cmds.flatMap((item) => ('AlterTableCmd' in item ? [item.AlterTableCmd] : []));

function onlyNotNull({ kind, node }: Statement): NotNull | null {
  if (kind !== 'AlterTableStmt') return null;
  const { relation } = node as AlterTableStmt;
  const parts = partsOf(node);
  if (relation === undefined || parts.some(({ subtype }) => subtype !== 'AT_SetNotNull')) return null;
  return {
    table: quoted(relation),
    columns: parts.map(({ name: column = '' }) => column),
  };
}

function renamedConstraint({ kind, node, text }: Statement): RenamedConstraint | null {
  if (kind !== 'RenameStmt') return null;
  const { renameType, relation, subname = '' } = node as RenameStmt;
  if (renameType !== 'OBJECT_TABCONSTRAINT' || relation === undefined) return null;
  return { table: quoted(relation), name: subname, sql: text };
}

function addedIdentity({ kind, node, text }: Statement): AddedIdentity | null {
  if (kind !== 'AlterTableStmt') return null;
  const { relation } = node as AlterTableStmt;
  const [part, ...more] = partsOf(node);
  if (relation === undefined || part?.subtype !== 'AT_AddIdentity' || more.length > 0) return null;
  return { table: quoted(relation), column: part.name ?? '', sql: text };
}

function quoted(relation: RangeVar): string {
  const { schema, name } = relationName(relation);
  return [...(schema === null ? [] : [schema]), name].map((part) => quoteIdentifier(part)).join('.');
}

function madeBy({ kind, node }: Statement): MadeColumn[] {
  if (kind !== 'AlterTableStmt') return [];
  const table = relationName((node as AlterTableStmt).relation);
  return partsOf(node).flatMap(({ subtype, name = '', def }): MadeColumn[] => {
    if (def === undefined || !('ColumnDef' in def)) return [];
    if (subtype === 'AT_AddColumn') return [{ table, column: def.ColumnDef.colname ?? '', emptied: false }];
    return subtype === 'AT_AlterColumnType' && isNull(def.ColumnDef.raw_default)
      ? [{ table, column: name, emptied: true }]
      : [];
  });
}

function isNull(node: Node | undefined): boolean {
  if (node === undefined) return false;
  if ('TypeCast' in node) return isNull(node.TypeCast.arg);
  // Without ELSE: what fits none of its conditions becomes NULL.
  if ('CaseExpr' in node)
    return (node as { CaseExpr: { defresult?: Node } }).CaseExpr.defresult === undefined;
  return 'A_Const' in node && node.A_Const.isnull === true && constantOf(node) === null;
}
