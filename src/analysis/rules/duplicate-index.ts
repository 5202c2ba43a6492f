import { defineRule } from '../define-rule.ts';

export const duplicateIndex = defineRule({
  id: 'duplicate-index',
  severity: 'notice',
  effect: null,
  summary: 'A new index over the same columns as an existing one',
  why: 'Each index is one more to write for every INSERT and most UPDATEs; a second one over the same columns helps no query.',
  peers: ['Bytebase: index: no-duplicate-column'],
  on: ['createIndex'],
  check({ table, columns, unique, partial, method, name }, context) {
    if (partial || columns.includes(null) || method !== 'btree') return null;
    const same = [...(context.table(table)?.indexes ?? [])]
      .flatMap((key) => context.schema.indexes.get(key) ?? [])
      .find(
        (index) =>
          !index.partial &&
          index.columns.length === columns.length &&
          index.columns.every((column, position) => column === columns[position]) &&
          (index.unique || !unique),
      );
    if (same === undefined) return null;
    return {
      table,
      message: `${context.quote(same.name)} already covers the same columns of ${context.name(table)} as ${context.quote(name)}.`,
      remedy: 'Leave one of them out.',
    };
  },
});
