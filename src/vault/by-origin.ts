import type { EntryFacts, NewEntry, SequenceFact } from './entry.ts';
import { originOf } from './origins.ts';
import type { Naming, QualifiedName, VaultContext } from './removals.ts';

/** The entry by the names from before the migration. */
export function byOrigin({ origin, ...entry }: NewEntry, { namings }: VaultContext): NewEntry {
  if (origin === undefined) return entry;
  const { columns, rest, sequences, root } = entry.facts;
  const as = (name: string): string => origin.keptAs(name) ?? name;
  const facts: EntryFacts = {
    ...entry.facts,
    ...(columns === undefined
      ? {}
      : {
          columns: columns
            .filter(({ name }) => origin.keptAs(name) !== null)
            .map((column) => ({ ...column, name: as(column.name) })),
        }),
    ...(rest === undefined ? {} : { rest: rest.map(as) }),
    ...(sequences === undefined ? {} : { sequences: sequences.map((fact) => sequenceBy(fact, as, namings)) }),
    ...(root == null ? {} : { root: nameOf(originOf(root, [], namings)) }),
  };
  return {
    ...entry,
    schema: origin.schema,
    table: origin.name,
    columns: (entry.columns ?? []).map(as),
    keyColumns: entry.keyColumns?.map(as) ?? null,
    facts,
  };
}

const nameOf = ({ schema, name }: QualifiedName): QualifiedName => ({ schema, name });

const sequenceBy = (
  fact: SequenceFact,
  as: (column: string) => string,
  namings: readonly Naming[] | undefined,
): SequenceFact => ({
  ...fact,
  ...nameOf(originOf(fact, [], namings)),
  column: fact.column === null ? null : as(fact.column),
});
