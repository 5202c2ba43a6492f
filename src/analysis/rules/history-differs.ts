import { defineRule, type FolderFinding } from '../define-rule.ts';

export const historyDiffers = defineRule({
  id: 'history-differs',
  severity: 'caution',
  effect: null,
  summary: 'An applied migration was edited, deleted, or would now be applied in another order',
  why: 'The history is what the database is; the folder is what a new database will be. Where the two differ, so will the databases. Needs the history (of a database, or given).',
  peers: ['Atlas: non-linear history'],
  checkFolder({ migrations, history }) {
    if (history === null) return [];
    const byName = new Map(migrations.map((migration, number) => [migration.name, { ...migration, number }]));
    let last = -1;
    return history.applied.flatMap(({ name, checksum }): FolderFinding[] => {
      const migration = byName.get(name);
      if (migration === undefined)
        return [
          {
            migration: null,
            message: `${name} has been applied, but the folder no longer has it.`,
            remedy: 'Restore the folder from version control.',
          },
        ];
      const reordered = migration.number < last;
      last = Math.max(last, migration.number);
      const edited = migration.checksum !== checksum;
      if (!edited && !reordered) return [];
      return [
        {
          migration: name,
          message: edited
            ? `${name} was edited after it had been applied: the database has what it was, a new database gets what it is.`
            : `${name} was applied after a migration that comes behind it by name: a new database gets them in the other order.`,
          remedy: edited
            ? 'Restore the file, and put the change into a new migration.'
            : 'Make sure that both orders give the same schema.',
        },
      ];
    });
  },
});
