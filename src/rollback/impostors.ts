/**
 * What was dropped and has a successor of the same name. A difference of schemas takes the one for the other, and finds
 * nothing to do where they are alike; the data of the first would have to go where that of the second is.
 */
import { qualify, quoteIdentifier } from '../db/quote.ts';
import type { Identity } from './identities.ts';
import { createdTable, readTableStatement, unquoted } from './statement.ts';

type Identities = ReadonlyMap<string, Identity>;

export interface Impostor {
  /** The table or the sequence, as statements name it. */
  readonly relation: string;
  /** Null where it is that itself. */
  readonly column: string | null;
  readonly aside: string;
  /** SQL that gives it another name, so that the difference drops it. */
  readonly rename: string;
}

/**
 * Tables and sequences, and columns of tables that stay, in the place of others that were there before. A sequence goes
 * with its table only where it is not taken for the one before.
 */
export function findImpostors(before: Identities, after: Identities): Impostor[] {
  const gone = [...before.values()].filter(({ key }) => !after.has(key));
  const news = [...after.values()].filter(
    ({ key, kind }) => ['table', 'sequence', 'column'].includes(kind) && !before.has(key),
  );
  const found = news.filter(({ kind, schema, name, parent }) =>
    gone.some(
      (old) => old.kind === kind && old.name === name && old.schema === schema && old.parent === parent,
    ),
  );
  return found.map(({ kind, schema, name, parent }, index) => {
    const owner = kind === 'column' ? after.get(parent ?? '')?.name : name;
    const relation = qualify(schema, owner ?? '');
    const column = kind === 'column' ? quoteIdentifier(name) : null;
    const aside = quoteIdentifier(`switchback_impostor_${index + 1}`);
    const what = `${kind === 'sequence' ? 'SEQUENCE' : 'TABLE'} ${relation}`;
    const rename = `ALTER ${what} RENAME ${column === null ? '' : `COLUMN ${column} `}TO ${aside}`;
    return { relation, column, aside, rename };
  });
}

/**
 * The statements with the names that the impostors have, so that what is kept of them is kept under these names.
 * Where that cannot be, since the name is given to another while they are there, they are renamed in fact.
 */
export function withoutAsides(statements: readonly string[], impostors: readonly Impostor[]): string[] {
  const renames: string[] = [];
  let named = [...statements];
  for (const impostor of impostors) {
    const { aside, relation, column } = impostor;
    const last = named.findLastIndex((sql) => sql.includes(unquoted(aside)));
    const first = named.findIndex((sql) => makes(sql, impostor));
    const isBare = named.some((sql) => sql.replaceAll(aside, '').includes(unquoted(aside)));
    if (isBare || first < last) renames.push(impostor.rename);
    else
      named = named.map((sql) =>
        sql.replaceAll(aside, () => column ?? relation.slice(relation.indexOf('"."') + 2)),
      );
  }
  return [...renames, ...named];
}

function makes(sql: string, { relation, column }: Impostor): boolean {
  if (column === null)
    return createdTable(sql) === relation || sql.startsWith(`CREATE SEQUENCE ${relation} `);
  const read = readTableStatement(sql);
  return read?.kind === 'addColumn' && read.table === relation && read.name === column;
}
