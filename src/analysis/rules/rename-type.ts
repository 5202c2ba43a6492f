import { defineRule } from '../define-rule.ts';
import { splitKey } from '../schema/schema.ts';

export const renameType = defineRule({
  id: 'rename-type',
  severity: 'dangerous',
  effect: 'breaksOldVersion',
  summary: 'An enum or another type that existed before is renamed or dropped, and none takes its name',
  why: 'Prisma’s client casts the values of an enum to the type by its name (`$1::"Status"`): every such query of the old release fails as soon as the name is gone. Another type that takes the name in the same migration (as Prisma does to recreate an enum) keeps it working.',
  peers: ['Prisma: EnumValueRemoval'],
  checkMigration({ changes, schema, number, facts }) {
    // Of a chain of renames only the first took the name from those who use it.
    const made = new Set(
      changes.flatMap(({ change }) => (change.kind === 'createType' ? [change.type] : [])),
    );
    return changes.flatMap(({ change, statement }) => {
      if (change.kind !== 'renameType') return [];
      const { schema: inSchema, name } = splitKey(change.type);
      const renamed = schema.types.get(`${inSchema}.${change.to}`);
      if (made.has(change.type) || schema.types.has(change.type)) return [];
      // Made by this migration, or by an earlier one of the same deployment.
      if (renamed !== undefined && (renamed.since === number || (facts !== null && renamed.since >= 0)))
        return [];
      return [
        {
          line: statement.line,
          column: statement.column,
          message: `The type "${name}" is "${change.to}" from now on: every query of the old release that casts to "${name}" fails until the roll-out has ended.`,
          remedy: `Keep the name: in Prisma's schema file \`@@map("${name}")\` renames the enum and not the type.`,
        },
      ];
    });
  },
});
