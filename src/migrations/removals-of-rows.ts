/** What statements on rows take away: of these too, that which the functions do that they call. */
import type { Statement } from '../sql/split.ts';
import {
  type CopyStmt,
  constantOf,
  type ExplainStmt,
  type Node,
  qualified,
  type RangeVar,
  relationName,
  strings,
  type TruncateStmt,
  type UpdateStmt,
  visitNodes,
} from '../sql/tree.ts';
import type { Removal, WrittenName } from '../vault/removals.ts';
import { isHarmless } from './harmless-functions.ts';
import type { Newness } from './newness.ts';
import { parsedName } from './written-name.ts';

const writing = new Set(['InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt']);

export function removedByTruncate({ node }: Statement, news: Newness): readonly Removal[] {
  const { relations = [], behavior, restart_seqs: restarts } = node as TruncateStmt;
  const tables = relations.flatMap((item) =>
    'RangeVar' in item
      ? [{ ...relationName(item.RangeVar), ...(item.RangeVar.inh === true ? {} : { only: true }) }]
      : [],
  );
  const cascade = behavior === 'DROP_CASCADE';
  return !cascade && tables.every((table) => news.isNewTable(table))
    ? []
    : [{ kind: 'rows', tables, cascade, restartsSequences: restarts === true }];
}

export function removedByRows(statement: Statement, news: Newness): readonly Removal[] {
  const { kind, node, text } = statement;
  if (kind === 'ExplainStmt' && !isCarriedOut(node)) return [];
  const tree = { [kind]: node };
  const tables = writtenBy(tree, kind === 'CopyStmt' ? node : null).filter(
    (table) => !news.isNewTable(table),
  );
  const { functions, sequences, largeObjects, placesUnknown } = calledBy(tree, news);
  if (largeObjects !== null)
    return [{ kind: 'unkept', because: `It calls ${largeObjects}, and large objects cannot be kept.` }];
  const called = functions.length === 0 ? {} : { functions };
  if (placesUnknown) return [...sequences, { kind: 'opaque', sql: text, tables, functions }];
  if (tables.length > 0)
    return [
      ...sequences,
      { kind: 'changes', tables, ...called, ...(isPlain(kind, node, news) ? plain : {}) },
    ];
  return functions.length === 0
    ? sequences
    : [...sequences, { kind: 'opaque', sql: text, tables, functions }];
}

const plain = { unlessPlain: true } as const;

function isCarriedOut(node: ExplainStmt): boolean {
  return (node.options ?? []).some(
    (option) =>
      'DefElem' in option &&
      option.DefElem.defname === 'analyze' &&
      !['false', 'off', '0'].includes(constantOrName(option.DefElem.arg)),
  );
}

const constantOrName = (node: Node | undefined): string =>
  node !== undefined && 'String' in node ? (node.String.sval ?? '') : (constantOf(node) ?? '');

function writtenBy(tree: unknown, copy: CopyStmt | null): WrittenName[] {
  const found = new Map<string, WrittenName>();
  const add = (relation: RangeVar | undefined): void => {
    const name = relationName(relation);
    found.set(JSON.stringify([name.schema, name.name]), name);
  };
  if (copy?.is_from === true) add(copy.relation);
  visitNodes(tree, (kind, value) => {
    if (writing.has(kind)) add(value.relation as RangeVar);
  });
  return [...found.values()];
}

/** An UPDATE that sets nothing but columns which the migration has made. */
function isPlain(kind: string, node: UpdateStmt, news: Newness): boolean {
  if (kind !== 'UpdateStmt' || node.withClause !== undefined) return false;
  const table = relationName(node.relation);
  return (node.targetList ?? []).every(
    (target) => 'ResTarget' in target && news.isNewColumn(table, target.ResTarget.name ?? ''),
  );
}

interface Calls {
  readonly functions: WrittenName[];
  readonly sequences: Removal[];
  readonly largeObjects: string | null;
  /** It sets a sequence whose name only the server knows. */
  readonly placesUnknown: boolean;
}

function calledBy(tree: unknown, { schema }: Newness): Calls {
  const functions = new Map<string, WrittenName>();
  const sequences: Removal[] = [];
  let largeObjects: string | null = null;
  let placesUnknown = false;
  visitNodes(tree, (kind, value) => {
    if (kind !== 'FuncCall') return;
    const name = qualified(strings(value.funcname as Node[]));
    if (/^lo_?(unlink|put|truncate|write|import)/.test(name.name)) largeObjects = name.name;
    if (name.name === 'setval') {
      const placed = placedSequence(value.args as Node[]);
      sequences.push(...placed);
      placesUnknown ||= placed.length === 0;
    } else if (!isHarmless(name, schema)) functions.set(JSON.stringify(name), name);
  });
  return { functions: [...functions.values()], sequences, largeObjects, placesUnknown };
}

/** `setval('name', …)`, or with pg_get_serial_sequence; none where only the server knows the name. */
function placedSequence([of]: readonly Node[] = []): Removal[] {
  const constant = constantOf(of);
  if (constant !== null) return [{ kind: 'sequence', sequence: parsedName(constant) }];
  if (
    of === undefined ||
    !('FuncCall' in of) ||
    strings(of.FuncCall.funcname).at(-1) !== 'pg_get_serial_sequence'
  )
    return [];
  const [table, column] = (of.FuncCall.args ?? []).map((argument) => constantOf(argument));
  return table == null || column == null ? [] : [{ kind: 'sequence', sequence: parsedName(table), column }];
}
