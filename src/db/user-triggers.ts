/**
 * SQL: the row of `pg_trigger` under this alias is one that somebody has made, and none of a constraint's own. Until
 * PostgreSQL 15 those that a partition has from its table count as internal.
 */
export const isUserTriggerSql = (alias: string): string =>
  `(not ${alias}.tgisinternal or (${alias}.tgparentid <> 0 and not exists (
      select from pg_catalog.pg_constraint of where of.oid = ${alias}.tgconstraint and of.contype = 'f')))`;
