/** What things were called before the migration: it is by these names that a rollback makes, or names, them again. */
import type { Naming, QualifiedName, VaultContext } from './removals.ts';
import type { Table } from './table.ts';

/** Of a table or a sequence as it is called by now. */
export interface Origin extends QualifiedName {
  /** The migration itself has made it: nothing in it is older. */
  readonly made: boolean;
  /** What a column was called; null for one that the migration has made. */
  was(column: string): string | null;
  /** The name under which a column is kept; null for one that was made under the name of another. */
  keptAs(column: string): string | null;
}

/** @param namings of the statements before, in their order */
export function originOf(
  now: QualifiedName,
  columns: readonly string[],
  namings: readonly Naming[] = [],
): Origin {
  let at = { schema: now.schema, name: now.name };
  // What was dropped is followed as well: its name is not to be given to another.
  const followed: Followed[] = columns.map((name) => ({ now: name, before: name }));
  for (const naming of namings.toReversed()) {
    if (naming.kind === 'schema') {
      if (at.schema === naming.to) at = { ...at, schema: naming.from };
    } else if (naming.kind === 'column') {
      if (isSame(naming.table, at)) followBack(followed, naming);
    } else if (isSame(naming.to, at)) {
      if (naming.from === null) return { ...now, made: true, was: () => null, keptAs: (column) => column };
      at = naming.from;
    }
  }
  const names = new Map(followed.flatMap(({ now: name, before }) => (name === null ? [] : [[name, before]])));
  const old = new Set(followed.flatMap(({ before }) => before ?? []));
  const was = (column: string): string | null => {
    const then = names.get(column);
    return then === undefined ? column : then;
  };
  return {
    ...at,
    made: false,
    was,
    keptAs: (column) => was(column) ?? (old.has(column) ? null : column),
  };
}

export const originIn = ({ namings }: VaultContext, table: Table): Origin =>
  originOf(
    table,
    table.columns.map(({ name }) => name),
    namings,
  );

/**
 * Columns by which a row is found, as they are called now: those that were there before the migration, if any will do,
 * since a rollback drops the others. Null where rows have to be told apart by all that is in them.
 */
export function keyBy(
  table: Table,
  origin: Origin,
  without: readonly string[] = [],
): readonly string[] | null {
  const usable = table.keys.filter((key) =>
    key.every((name) => !without.includes(name) && origin.keptAs(name) !== null),
  );
  return usable.find((key) => key.every((name) => origin.was(name) !== null)) ?? usable[0] ?? null;
}

/** Null: it is not there now, or was not there then. */
interface Followed {
  readonly now: string | null;
  before: string | null;
}

function followBack(columns: Followed[], { from, to }: Extract<Naming, { kind: 'column' }>): void {
  if (to === null) {
    columns.push({ now: null, before: from });
    return;
  }
  const found = columns.find(({ before }) => before === to);
  if (found !== undefined) found.before = from;
}

const isSame = (a: QualifiedName, b: QualifiedName): boolean => a.schema === b.schema && a.name === b.name;
