import { defineRule } from '../define-rule.ts';

export const renameEnumValue = defineRule({
  id: 'rename-enum-value',
  severity: 'dangerous',
  effect: 'breaksOldVersion',
  summary: 'A label of an enum is renamed',
  why: 'The old release writes and compares with the old label, which fails from that moment on; and it reads the new one, which its client does not know.',
  peers: ['strong_migrations: rename_enum_value'],
  on: ['renameEnumValue'],
  check({ type, label, to }, context) {
    const known = context.schema.types.get(type);
    // Made by this migration, or by an earlier one of the same deployment.
    if (known?.since === context.migration.number) return null;
    if (context.facts !== null && (known?.since ?? -1) >= 0) return null;
    return {
      message: `Renaming '${label}' of ${context.name(type)} to '${to}' breaks every query of the old release that writes or compares with '${label}', and it cannot read '${to}'.`,
      remedy: `Keep the label: in Prisma's schema file \`@map("${label}")\` renames the value and not the label. Or add '${to}', release the application that writes it, and change the rows over in batches.`,
    };
  },
});
