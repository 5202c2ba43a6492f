/** What a DO block or a procedure takes away. */
import { dynamicText, isGuessed } from '../analysis/dynamic-text.ts';
import { SyntaxFault } from '../sql/parse.ts';
import { embeddedStatements } from '../sql/plpgsql.ts';
import { type Statement, splitStatements } from '../sql/split.ts';
import { type CallStmt, type DoStmt, nameParts, qualified, strings } from '../sql/tree.ts';
import type { Removal, WrittenName } from '../vault/removals.ts';
import type { Newness } from './newness.ts';

/** Words without which code takes nothing away. */
const removing =
  /\b(delete|update|insert|truncate|merge|drop|alter|copy|execute|call|setval|perform|lo_\w+)\b/i;
/** Places of statements which the reader of PL/pgSQL does not give. */
const elsewhere = /\b(in|query|for)\s+(with|delete|update|insert|merge|execute)\b/i;

type Reader = (statement: Statement) => readonly Removal[];

/**
 * A statement whose code cannot be told to remove nothing is opaque: what it does shows when it is tried.
 * @param removedBy what a statement inside it removes
 */
export function removedByCode(statement: Statement, news: Newness, removedBy: Reader): readonly Removal[] {
  const { kind, node, text } = statement;
  if (kind === 'CallStmt') {
    const name = qualified(strings((node as CallStmt).funccall?.funcname));
    return [{ kind: 'opaque', sql: text, tables: [], functions: [name] }];
  }
  // What another language does shows only when it is tried.
  if (languageOf(node) !== 'plpgsql') return [{ kind: 'opaque', sql: text, tables: [] }];
  const bare = text.replace(/--[^\n]*|\/\*[\s\S]*?\*\//g, ' ');
  const own = ownFunctions(bare, news);
  if (!removing.test(bare) && own.length === 0) return [];
  const found = readCode(text, removedBy);
  const known = found.isKnown && own.length === 0 && !elsewhere.test(bare);
  if (known && found.removals.length === 0) return [];
  const tables = found.removals.flatMap((removal) => ('tables' in removal ? removal.tables : []));
  return [{ kind: 'opaque', sql: text, tables: distinct(tables), functions: own }];
}

const languageOf = ({ args }: DoStmt): string =>
  (args ?? []).flatMap((item) =>
    'DefElem' in item && item.DefElem.defname === 'language' ? [nameParts(item.DefElem.arg).join('')] : [],
  )[0] ?? 'plpgsql';

/** The functions of the database that may write and whose name the code has in it. */
function ownFunctions(text: string, { schema }: Newness): WrittenName[] {
  const words = new Set(text.match(/[\p{L}_][\p{L}\p{N}_$]*/gu) ?? []);
  return [...schema.functions.values()]
    .filter(({ name, volatility }) => volatility === 'volatile' && words.has(name))
    .map(({ key, name }) => ({ schema: key.slice(0, key.length - name.length - 1), name }));
}

interface Code {
  readonly removals: readonly Removal[];
  /** Whether everything in it could be read. */
  readonly isKnown: boolean;
}

function readCode(text: string, removedBy: Reader): Code {
  try {
    return together(
      embeddedStatements(text).map(({ sql, dynamic, variables }) => {
        const inside = dynamic ? dynamicText(sql, variables) : sql;
        return inside === null ? unknown : readText(inside, removedBy);
      }),
    );
  } catch (error) {
    if (!(error instanceof SyntaxFault)) throw error;
    return unknown;
  }
}

const unknown: Code = { removals: [], isKnown: false };

/** With a variable in it, a statement may not parse by itself. */
function readText(text: string, removedBy: Reader): Code {
  try {
    return { removals: splitStatements(text).flatMap(removedBy), isKnown: !isGuessed(text) };
  } catch (error) {
    if (!(error instanceof SyntaxFault)) throw error;
    return unknown;
  }
}

const together = (parts: readonly Code[]): Code => ({
  removals: parts.flatMap(({ removals }) => removals),
  isKnown: parts.every(({ isKnown }) => isKnown),
});

const distinct = (names: readonly WrittenName[]): WrittenName[] => [
  ...new Map(names.map((name) => [JSON.stringify([name.schema, name.name]), name])).values(),
];
