/** Goes over what a statement changes, into DO blocks and called functions, and carries the schema forward. */

import { SyntaxFault } from '../sql/parse.ts';
import { type EmbeddedStatement, type Question, readCode } from '../sql/plpgsql.ts';
import { type Statement, splitStatements } from '../sql/split.ts';
import { type DoStmt, nameParts } from '../sql/tree.ts';
import type { Change } from './changes/change.ts';
import { readChanges } from './changes/read.ts';
import { dynamicText, isGuessed } from './dynamic-text.ts';
import { decide } from './guards.ts';
import { applyChange } from './schema/apply.ts';
import type { UserFunction } from './schema/model.ts';
import { Schema, splitKey } from './schema/schema.ts';

export interface Visited {
  readonly change: Change;
  /** The statement that makes it: the file's own, or one inside its code, placed where that stands in the file. */
  readonly statement: Statement;
  readonly siblings: readonly Change[];
  readonly embedded: boolean;
}

type Visit = (visited: Visited) => void;

/** A function that calls itself would be followed for ever. */
const deepest = 4;

/** Calls `visit` for every change just before the schema is carried over it. `since` is the migration's number. */
export function walkStatement(
  statement: Statement,
  schema: Schema,
  since: number,
  visit: Visit,
  depth = 0,
): void {
  if (statement.kind === 'DoStmt') {
    walkCode(doBody(statement), statement, schema, since, visit, depth);
    return;
  }
  const siblings = readChanges(statement, schema);
  for (const change of siblings) {
    if (isIdle(change, schema)) continue;
    visit({ change, statement, siblings, embedded: depth > 0 });
    applyChange(schema, change, since);
    if (change.kind === 'select') walkCalled(change.functions, statement, schema, since, visit, depth);
  }
}

/** IF EXISTS and IF NOT EXISTS: nothing is done where nothing is to be done. */
function isIdle(change: Change, schema: Schema): boolean {
  switch (change.kind) {
    case 'createTable':
      return change.ifNotExists && schema.tables.has(change.table);
    case 'createIndex':
      return change.ifNotExists && schema.indexes.has(change.index);
    case 'addColumn':
      return change.ifNotExists && schema.tables.get(change.table)?.columns.has(change.column.name) === true;
    case 'addEnumValue':
      return change.ifNotExists && schema.types.get(change.type)?.labels.includes(change.label) === true;
    case 'dropColumn': {
      const table = schema.tables.get(change.table);
      return (
        change.ifExists &&
        table?.columnsKnown === true &&
        schema.complete &&
        !table.columns.has(change.column)
      );
    }
    case 'dropConstraint': {
      const table = schema.tables.get(change.table);
      return (
        change.ifExists &&
        table?.columnsKnown === true &&
        schema.complete &&
        !table.constraints.has(change.name)
      );
    }
    default:
      return false;
  }
}

interface Code {
  readonly text: string;
  readonly language: string;
}

function doBody(statement: Statement): Code {
  const { args } = statement.node as DoStmt;
  const option = (wanted: string): string =>
    (args ?? []).flatMap((item) =>
      'DefElem' in item && item.DefElem.defname === wanted ? [nameParts(item.DefElem.arg).join('')] : [],
    )[0] ?? '';
  return { text: statement.text, language: option('language') || 'plpgsql' };
}

function walkCode(
  code: Code,
  around: Statement,
  schema: Schema,
  since: number,
  visit: Visit,
  depth: number,
): void {
  if (code.language !== 'plpgsql') {
    dynamic(code.text, around, visit, schema);
    return;
  }
  let items: (EmbeddedStatement | Question)[];
  try {
    items = readCode(code.text);
  } catch (error) {
    if (!(error instanceof SyntaxFault)) throw error;
    visit({
      change: { kind: 'other', statement: `unparsable: ${error.message}` },
      statement: around,
      siblings: [],
      embedded: true,
    });
    return;
  }
  const answers = new Map<Question, boolean | null>();
  for (const item of items) {
    if (!('sql' in item)) answers.set(item, decide(item, schema));
    else if (item.conditions.every(({ question, wanted }) => answers.get(question) !== !wanted))
      walkEmbedded(item, around, schema, since, visit, depth);
  }
}

function walkEmbedded(
  item: EmbeddedStatement,
  around: Statement,
  schema: Schema,
  since: number,
  visit: Visit,
  depth: number,
): void {
  // Inside a called function the lines are not those of this file.
  const line = around.kind === 'DoStmt' ? around.line + item.line - 1 : around.line;
  const text = item.dynamic ? dynamicText(item.sql, item.variables) : item.sql;
  const statements = text === null ? null : statementsOf(text);
  const place = { line, column: around.kind === 'DoStmt' && item.line > 1 ? 1 : around.column };
  if (item.dynamic && (text === null || statements === null || isGuessed(text)))
    dynamic(item.sql, { ...around, ...place }, visit, schema);
  for (const statement of statements ?? []) {
    const placed = { ...statement, ...place, offset: around.offset };
    if (caught(placed, item.catches, schema)) continue;
    walkStatement(placed, schema, since, visit, depth + 1);
  }
}

/** Null where it does not parse by itself, as text with a variable in it may not. */
function statementsOf(text: string): Statement[] | null {
  try {
    return splitStatements(text);
  } catch (error) {
    if (error instanceof SyntaxFault) return null;
    throw error;
  }
}

function dynamic(text: string, statement: Statement, visit: Visit, schema: Schema): void {
  // What it makes is not known, so that an unknown name may exist from here on.
  if (/\b(create|alter|drop|rename)\b/i.test(text)) schema.complete = false;
  visit({ change: { kind: 'dynamic', text }, statement, siblings: [], embedded: true });
}

/** `EXCEPTION WHEN duplicate_object`: what exists already fails, and the failure is passed over. */
function caught(statement: Statement, catches: readonly string[], schema: Schema): boolean {
  const catching = (prefix: string): boolean =>
    catches.some((name) => name.startsWith(prefix) || name === 'others');
  if (!catching('duplicate') && !catching('undefined')) return false;
  return readChanges(statement, schema).some(
    (change) =>
      (catching('duplicate') && existsAlready(change, schema)) ||
      (catching('undefined') && schema.complete && isMissing(change, schema)),
  );
}

function existsAlready(change: Change, schema: Schema): boolean {
  if (change.kind === 'addConstraint')
    return schema.tables.get(change.table)?.constraints.has(change.constraint.name) === true;
  if (change.kind === 'createType') return schema.types.has(change.type);
  if (change.kind === 'createTable') return schema.tables.has(change.table);
  if (change.kind === 'createIndex') return schema.indexes.has(change.index);
  return (
    change.kind === 'addColumn' && schema.tables.get(change.table)?.columns.has(change.column.name) === true
  );
}

/** What it is done to does not exist. */
function isMissing(change: Change, schema: Schema): boolean {
  if (change.kind === 'createTable' || !('table' in change)) return false;
  const table = schema.tables.get(change.table);
  if (table === undefined) return !Schema.isBuiltIn(splitKey(change.table).schema);
  if (change.kind === 'dropConstraint') return table.columnsKnown && !table.constraints.has(change.name);
  return 'column' in change && typeof change.column === 'string'
    ? table.columnsKnown && !table.columns.has(change.column)
    : false;
}

function walkCalled(
  functions: readonly string[],
  statement: Statement,
  schema: Schema,
  since: number,
  visit: Visit,
  depth: number,
): void {
  if (depth >= deepest) return;
  for (const key of functions) {
    const called = schema.functions.get(key);
    if (called === undefined) continue;
    const around = { ...statement, kind: 'SelectStmt' };
    if (called.language === 'plpgsql')
      walkCode({ text: asDefinition(called), language: 'plpgsql' }, around, schema, since, visit, depth + 1);
    if (called.language === 'sql')
      for (const inner of statementsOf(called.body) ?? [])
        if (inner.kind !== 'SelectStmt')
          walkStatement({ ...inner, ...placeOfStatement(statement) }, schema, since, visit, depth + 1);
  }
}

const placeOfStatement = ({ line, column, offset }: Statement) => ({ line, column, offset });

/** PL/pgSQL's parser wants a whole definition; a DO block can have the same body, unless it returns something. */
const asDefinition = ({ body, definition }: UserFunction): string =>
  definition === '' ? `DO $switchback$${body}$switchback$` : definition;
