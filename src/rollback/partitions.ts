/**
 * What partitions have of their own and a difference of schemas does not see: what comes with their parent's gets the
 * names that PostgreSQL chooses, and the parent's defaults. What it will be, only its execution shows.
 */
import { qualify, quoteIdentifier } from '../db/quote.ts';
import type { Session } from '../db/session.ts';
import { AppError } from '../errors.ts';
import type { SchemaState } from '../schema/difference.ts';
import { compareFingerprints, type Difference, readFingerprint } from '../schema/fingerprint.ts';
import { userTables } from './rows/catalogue.ts';
import { nameOf } from './statement.ts';

/**
 * SQL that gives partitions their own names and defaults once the rollback's text has run. The text is tried in the
 * session's transaction, which is the caller's to roll back, on tables without rows; where it does not run by itself
 * nothing is known.
 */
export async function partitionsOwn(session: Session, text: string, wanted: SchemaState): Promise<string[]> {
  if (![...wanted.fingerprint.facts.values()].some((fact) => / (partition of \S.*|inherited)$/.test(fact)))
    return [];
  try {
    await session.query(emptySql);
    await session.query(text);
    const differences = compareFingerprints(await readFingerprint(session), wanted.fingerprint);
    return differences.length === 0 ? [] : [...names(differences), ...defaults(differences, wanted)];
  } catch (error) {
    if (!(error instanceof AppError) || !session.alive) throw error;
    return [];
  }
}

/** Without rows nothing is in the way of NOT NULL or of a key. */
const emptySql = `do $$ declare names text; begin
  select pg_catalog.string_agg(c.oid::pg_catalog.regclass::text, ', ') into names
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace where ${userTables} and not c.relispartition;
  if names is not null then execute 'truncate ' || names; end if;
end $$`;

interface Index {
  readonly name: string;
  /** All but its name, and the index that it is a part of. */
  readonly definition: string;
  readonly parent: string;
  readonly schema: string;
}

/** The index of a key takes the key's name along. One may be missing that was left out since its rows are not unique. */
function names(differences: readonly Difference[]): string[] {
  const had = differences.flatMap(({ before, after }) => (after === null ? indexOf(before) : []));
  const renames: string[] = [];
  const parents = new Map<string, string>();
  let open = differences.flatMap(({ before, after }) => (before === null ? indexOf(after) : []));
  for (let found = -1; found !== 0; ) {
    const count = open.length;
    open = open.filter((index) => {
      const made = had.find(
        ({ definition, parent }) =>
          definition === index.definition && (parents.get(parent) ?? parent) === index.parent,
      );
      if (made === undefined) return true;
      const { schema } = index;
      renames.push(`ALTER INDEX IF EXISTS ${schema}.${made.name} RENAME TO ${index.name}`);
      parents.set(`${schema}.${made.name}`, `${schema}.${index.name}`);
      return false;
    });
    found = count - open.length;
  }
  return renames;
}

function indexOf(fact: string | null): Index[] {
  const groups = partition.exec(fact ?? '')?.groups;
  if (groups === undefined) return [];
  const { unique = '', name = '', schema = '', rest = '', parent = '' } = groups;
  return [{ name, definition: `${unique}${schema}.${rest}`, parent, schema }];
}

/** As PostgreSQL prints it. */
const partition = new RegExp(
  `^CREATE (?<unique>UNIQUE |)INDEX (?<name>${nameOf}) ON (?:ONLY )?(?<schema>${nameOf})\\.(?<rest>.*) partition of (?<parent>.*)$`,
  's',
);

const inherited = /^(?<what>.*?)(?: default (?<value>.*))? inherited$/s;

function defaults(differences: readonly Difference[], wanted: SchemaState): string[] {
  return differences.flatMap(({ object, before, after }) => {
    const [is, was] = [inherited.exec(before ?? '')?.groups, inherited.exec(after ?? '')?.groups];
    if (is === undefined || was === undefined || is.what !== was.what) return [];
    const column = columnNamed(object, wanted);
    if (column === null) return [];
    return [
      `ALTER TABLE ONLY ${column.table} ALTER COLUMN ${column.name} ${was.value === undefined ? 'DROP DEFAULT' : `SET DEFAULT ${was.value}`}`,
    ];
  });
}

/** Tables are known by their names with dots in them; of two that it may be the longer one is meant. */
function columnNamed(object: string, { model }: SchemaState): { table: string; name: string } | null {
  const tables = model.facts
    .facts()
    .flatMap(({ id }) =>
      id.kind === 'table' && object.startsWith(`column ${id.schema}.${id.name}.`) ? [id] : [],
    );
  const [table] = tables.toSorted((a, b) => b.name.length - a.name.length);
  if (table === undefined) return null;
  const { schema, name } = table;
  return {
    table: qualify(schema, name),
    name: quoteIdentifier(object.slice(`column ${schema}.${name}.`.length)),
  };
}
