import { defineRule } from '../define-rule.ts';

export const renameColumn = defineRule({
  id: 'rename-column',
  severity: 'dangerous',
  effect: 'breaksOldVersion',
  summary: 'A column that existed before is renamed',
  why: 'From that moment to the end of the roll-out every query of the old release that names the column fails; Prisma’s client names every column of a table in every query. After a rollback of the application so does every query of the new one.',
  peers: [
    'squawk: renaming-column',
    'postgres-language-server: renamingColumn',
    'strong_migrations: rename_column',
    'online_migrations: rename_column',
    'Atlas: BC102',
    'Bytebase: schema.backward-compatibility',
  ],
  on: ['renameColumn'],
  check({ table, column, to }, context) {
    if (context.isNewColumn(table, column)) return null;
    const [on, from, target] = [context.name(table), context.quote(column), context.quote(to)];
    return {
      table,
      message: `Renaming ${from} of ${on} to ${target} breaks every query of the old release that names it, until the roll-out has ended.`,
      remedy: [
        `-- keep the name: in Prisma's schema file \`@map("${column}")\` renames the field and not the column. Or:`,
        `ALTER TABLE ${on} ADD COLUMN ${target} …; -- kept equal to ${from} by a trigger, filled in batches`,
        `-- release the application that uses ${target}, then drop ${from} a release later`,
      ].join('\n'),
    };
  },
});
