import { quoted } from '../context.ts';
import { defineRule } from '../define-rule.ts';
import { quotedTable } from '../phrases.ts';

export const dataMovedThenDropped = defineRule({
  id: 'data-moved-then-dropped',
  severity: 'dangerous',
  effect: 'breaksOldVersion',
  summary: 'Data is copied out of a table into another one, and its source is dropped in the same migration',
  why: 'One step restructures several objects that depend on each other, and takes away what it started from: the old release, which still reads and writes the source, fails at once; what it writes during the copy is lost; and if the copy was wrong there is nothing to copy from again. Copy in one release, read from the new place in the next, drop the old one in a third.',
  peers: [],
  checkMigration({ changes, schema }) {
    const name = (key: string): string => quotedTable(key, schema);
    const sources = new Map<string, string>();
    for (const { change } of changes)
      if (change.kind === 'insert' || change.kind === 'update')
        for (const source of change.fromTables)
          if (source !== change.table) sources.set(source, change.table);
    return changes.flatMap(({ change, statement, existed }) => {
      if (!existed || (change.kind !== 'dropColumn' && change.kind !== 'dropTable')) return [];
      const target = sources.get(change.table);
      if (target === undefined) return [];
      const what =
        change.kind === 'dropColumn'
          ? `${quoted(change.column)} of ${name(change.table)}`
          : name(change.table);
      return [
        {
          table: change.table,
          line: statement.line,
          column: statement.column,
          message: `Rows of ${name(change.table)} were copied into ${name(target)} above, and ${what} is dropped here: what the old release writes there meanwhile is lost, and if the copy was wrong there is nothing to copy from again.`,
          remedy: `Drop ${what} in a later migration, when the release that reads ${name(target)} has proven itself.`,
        },
      ];
    });
  },
});
