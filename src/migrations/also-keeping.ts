import type { Removal } from '../vault/removals.ts';
import { type Missed, namesOf } from './write-watch.ts';

/** What a step removes, and what was found that it writes, so that nothing is kept twice. */
export function alsoKeeping(
  removals: readonly Removal[],
  { tables, anew }: Missed,
  sql: string,
): readonly Removal[] {
  const names = namesOf(tables);
  if (removals.some(({ kind }) => kind === 'opaque'))
    return removals.map((one) =>
      one.kind === 'opaque' ? { ...one, tables: [...one.tables, ...names] } : one,
    );
  const [changes] = removals.flatMap((one) => (one.kind === 'changes' ? [one] : []));
  const all = [...(changes?.tables ?? []), ...names];
  const others = removals.filter((one) => one !== changes);
  // Triggers do not see a TRUNCATE: trying does.
  return [
    ...others,
    anew
      ? { kind: 'opaque', sql, tables: all, ...called(changes) }
      : { kind: 'changes', tables: all, ...called(changes) },
  ];
}

const called = (changes: Extract<Removal, { kind: 'changes' }> | undefined) =>
  changes?.functions === undefined ? {} : { functions: changes.functions };
