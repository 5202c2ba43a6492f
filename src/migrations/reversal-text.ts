/** A rollback's text: where the data comes back, and what stands before and behind that place. */
import { quoteIdentifier } from '../db/quote.ts';
import { SyntaxFault } from '../sql/parse.ts';
import { placeOf, type Statement, splitStatements } from '../sql/split.ts';
import { type AlterTableCmd, type AlterTableStmt, constantOf, type Node, relationName } from '../sql/tree.ts';
import type { VaultEntry } from '../vault/entry.ts';
import type { WrittenName } from '../vault/removals.ts';
import { type AddedConstraint, addedConstraint } from './added-constraints.ts';
import type { NotNull } from './restorer.ts';
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
  /** By the number of the statement, behind that place. */
  readonly notNull: ReadonlyMap<number, NotNull>;
  /** By the number of the statement, on whichever side of it. */
  readonly constraints: ReadonlyMap<number, AddedConstraint>;
  /** Columns that the text makes before that place, or fills with NULL: what is in them is nobody's. */
  readonly made: readonly { readonly table: WrittenName; readonly column: string }[];
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
    constraints: new Map(
      all.flatMap((statement, index): [number, AddedConstraint][] => {
        const added = addedConstraint(statement);
        return added === null ? [] : [[index + 1, added]];
      }),
    ),
    notNull: new Map(
      behind.flatMap((statement, index): [number, NotNull][] => {
        const notNull = onlyNotNull(statement);
        return notNull === null ? [] : [[before.length + 2 + index, notNull]];
      }),
    ),
    made: before.flatMap(madeBy),
  };
}

/** Ids of those entries whose columns the text makes, or fills with NULL, be it only where a value does not fit. */
export const madeIn = ({ made }: Pick<ReversalText, 'made'>, entries: readonly VaultEntry[]): Set<string> =>
  new Set(
    entries
      .filter(
        ({ schema, table, columns }) =>
          columns.length > 0 &&
          columns.every((column) =>
            made.some(
              (one) =>
                one.column === column && one.table.name === table && (one.table.schema ?? schema) === schema,
            ),
          ),
      )
      .map(({ id }) => id),
  );

/** As `madeIn`, of a migration's text; of one that does not parse nothing is known. */
export function madeInText(text: string, entries: readonly VaultEntry[]): Set<string> {
  try {
    return madeIn({ made: splitStatements(text).flatMap(madeBy) }, entries);
  } catch (error) {
    if (!(error instanceof SyntaxFault)) throw error;
    return new Set();
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
  const { schema, name } = relationName(relation);
  return {
    table: [...(schema === null ? [] : [schema]), name].map((part) => quoteIdentifier(part)).join('.'),
    columns: parts.map(({ name: column = '' }) => column),
  };
}

function madeBy({ kind, node }: Statement): { table: WrittenName; column: string }[] {
  if (kind !== 'AlterTableStmt') return [];
  const table = relationName((node as AlterTableStmt).relation);
  return partsOf(node).flatMap(({ subtype, name = '', def }) => {
    if (def === undefined || !('ColumnDef' in def)) return [];
    if (subtype === 'AT_AddColumn') return [{ table, column: def.ColumnDef.colname ?? '' }];
    return subtype === 'AT_AlterColumnType' && isNull(def.ColumnDef.raw_default)
      ? [{ table, column: name }]
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
