import { defineRule } from '../define-rule.ts';

export const rowSecurityChanged = defineRule({
  id: 'row-security-changed',
  severity: 'notice',
  effect: null,
  summary: 'Row security of an existing table is switched, or privileges are revoked',
  why: 'With row security on, whoever is not the table’s owner sees and writes only the rows that a policy allows; without a policy none. Make the policies first, and try it as the application’s own role.',
  peers: ['pg-schema-diff: AUTHZ_UPDATE', 'Liquibase: SqlGrantWarn'],
  on: ['setRowSecurity', 'privileges'],
  check(change, context) {
    if (change.kind === 'privileges')
      return change.revoke
        ? {
            message: 'Whoever loses a privilege here fails from now on where it was used.',
            remedy: 'Try it as the application’s own role first.',
          }
        : null;
    if (context.isNew(change.table)) return null;
    const on = context.name(change.table);
    return {
      table: change.table,
      message:
        change.to === 'enabled' || change.to === 'forced'
          ? `From now on ${change.to === 'forced' ? 'its owner too' : 'everybody but its owner'} sees and writes only the rows of ${on} that a policy allows.`
          : `Policies of ${on} no longer hold for ${change.to === 'disabled' ? 'anybody' : 'its owner'}.`,
      remedy: 'Create the policies in the same migration, before, and try it as the application’s own role.',
    };
  },
});
