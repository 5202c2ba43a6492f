/** PL/pgSQL code as PostgreSQL's own parser gives it: plain JSON, of which libpg-query has no types. */
import { parsePlPgSQLSync } from 'libpg-query';
import { SyntaxFault } from './parse.ts';

export type Json = Readonly<Record<string, unknown>>;

/**
 * The bodies in a `DO …` or `CREATE FUNCTION …` statement.
 * @throws SyntaxFault when one does not parse
 */
export function parseBodies(text: string): Json[] {
  try {
    const { plpgsql_funcs: found } = parsePlPgSQLSync(text) as { plpgsql_funcs?: readonly Json[] };
    return (found ?? []).map((item) => objectIn(item, 'PLpgSQL_function'));
  } catch (error) {
    throw new SyntaxFault(error instanceof Error ? error.message : String(error), 0);
  }
}

export const asObject = (value: unknown): Json =>
  value !== null && typeof value === 'object' && !Array.isArray(value) ? (value as Json) : {};
export const objectIn = (value: unknown, key: string): Json => asObject(asObject(value)[key]);
export const listIn = (value: Json, key: string): readonly unknown[] => {
  const list = value[key];
  return Array.isArray(list) ? list : [];
};
/** The text of an SQL expression; empty where there is none. */
export const queryOf = (value: Json, key: string): string => {
  const { query } = objectIn(objectIn(value, key), 'PLpgSQL_expr');
  return typeof query === 'string' ? query : '';
};

export interface Branch {
  readonly expression: string;
  readonly statements: readonly unknown[];
}

export const ifBranches = (node: Json): Branch[] => [
  { expression: queryOf(node, 'cond'), statements: listIn(node, 'then_body') },
  ...listIn(node, 'elsif_list').map((item) => {
    const elsif = objectIn(item, 'PLpgSQL_if_elsif');
    return { expression: queryOf(elsif, 'cond'), statements: listIn(elsif, 'stmts') };
  }),
];

export const caseBranches = (node: Json): Branch[] =>
  listIn(node, 'case_when_list').map((item) => {
    const when = objectIn(item, 'PLpgSQL_case_when');
    return { expression: queryOf(when, 'expr'), statements: listIn(when, 'stmts') };
  });

export interface Handler {
  /** `duplicate_object`, `others`. */
  readonly conditions: readonly string[];
  readonly statements: readonly unknown[];
}

export const handlersOf = (block: Json): Handler[] =>
  listIn(objectIn(objectIn(block, 'exceptions'), 'PLpgSQL_exception_block'), 'exc_list').map((item) => {
    const handler = objectIn(item, 'PLpgSQL_exception');
    const conditions = listIn(handler, 'conditions').map(
      (one) => objectIn(one, 'PLpgSQL_condition').condname,
    );
    return {
      conditions: conditions.filter((name) => typeof name === 'string'),
      statements: listIn(handler, 'action'),
    };
  });

/** The names of the variables that stand in a list, as INTO and FOR have it. */
export const fieldsOf = (target: Json): string[] =>
  listIn(objectIn(target, 'PLpgSQL_row'), 'fields').map((field) => String(asObject(field).name));

/** A record's name, where that is what INTO or FOR sets; null where it is something else. */
export function recordOf(target: Json): string | null {
  const { refname } = objectIn(target, 'PLpgSQL_rec');
  return typeof refname === 'string' ? refname : null;
}

/** The names of all variables, by the numbers that statements have for them; a record's field is `record.field`. */
export function variableNames(datums: readonly Json[]): string[] {
  const names = datums.map((datum) => {
    const [variable] = Object.values(datum).map(asObject);
    return typeof variable?.refname === 'string' ? variable.refname : '';
  });
  return datums.map((datum, number) => {
    const { fieldname, recparentno } = objectIn(datum, 'PLpgSQL_recfield');
    return typeof fieldname === 'string' && typeof recparentno === 'number'
      ? `${names[recparentno] ?? ''}.${fieldname}`
      : (names[number] ?? '');
  });
}

/** Statements after which FOUND is another. */
const setsFound = /^PLpgSQL_stmt_(execsql|perform|fetch|for.|foreach_a|dynfors|return_query)$/;

/** The variables that some code sets, wherever in it; of a record the whole of it. */
export function setIn(code: unknown, names: readonly string[]): string[] {
  if (Array.isArray(code)) return code.flatMap((item) => setIn(item, names));
  return Object.entries(asObject(code)).flatMap(([key, inner]) => {
    const { varno, target, refname } = asObject(inner);
    const at = (number: unknown): string[] =>
      typeof number === 'number' ? [names[number] ?? ''].filter((name) => name !== '') : [];
    const own =
      key === 'PLpgSQL_stmt_assign' || key === 'PLpgSQL_stmt_foreach_a'
        ? at(varno)
        : key === 'PLpgSQL_diag_item'
          ? at(target)
          : key === 'PLpgSQL_row'
            ? fieldsOf({ [key]: inner })
            : (key === 'PLpgSQL_var' || key === 'PLpgSQL_rec') && typeof refname === 'string'
              ? [refname]
              : [];
    return [...own, ...(setsFound.test(key) ? ['found'] : []), ...setIn(inner, names)];
  });
}
