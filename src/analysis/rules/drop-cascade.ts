import { defineRule } from '../define-rule.ts';
import { tablesWithType } from './check-scan.ts';

export const dropCascade = defineRule({
  id: 'drop-cascade',
  severity: 'dangerous',
  effect: 'dataLoss',
  summary: 'DROP … CASCADE of a type or an extension, which takes columns with it',
  why: 'CASCADE drops whatever depends on the object: columns of a dropped type with all their values, defaults and indexes of a dropped function, views over a dropped view. The file does not say what that is; only the database’s state at that moment does.',
  peers: ['Bytebase: statement: disallow-rm-tbl-cascade', 'pg-schema-diff: HAS_UNTRACKABLE_DEPENDENCIES'],
  on: ['dropType', 'extension'],
  check(change, context) {
    if (!change.cascade || (change.kind === 'extension' && change.action !== 'drop')) return null;
    const name = change.kind === 'dropType' ? context.name(change.type) : context.quote(change.name);
    const tables = change.kind === 'dropType' ? tablesWithType(change.type, context) : [];
    if (change.kind === 'dropType' && tables.length === 0 && context.schema.complete)
      return {
        severity: 'notice',
        effect: null,
        message: `CASCADE drops whatever depends on ${name}; as far as is known nothing does.`,
        remedy: 'Leave CASCADE out: then the statement fails instead of dropping what nobody thought of.',
      };
    return {
      table: tables[0] ?? null,
      message: `CASCADE drops whatever depends on ${name}${tables.length === 0 ? '' : `: columns of ${tables.map((table) => context.name(table)).join(', ')}, with their values`}.`,
      remedy: 'Drop or change what depends on it by name first, and leave CASCADE out.',
    };
  },
});
