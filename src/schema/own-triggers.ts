/**
 * Triggers of ours on tables of users are no part of a schema: those of a data migration that runs or is paused, and those by
 * which the vault sees changed rows. Whatever their names, their functions are in our schemas.
 */
import type { FilterRule } from '@supabase/pg-delta/policy';
import type { DumpEntry } from './dump.ts';

/** SQL: the row of `pg_trigger` under this alias is one of them. */
export const isOwnTriggerSql = (alias: string): string =>
  `exists (select from pg_catalog.pg_proc code join pg_catalog.pg_namespace home on home.oid = code.pronamespace
            where code.oid = ${alias}.tgfoid and (home.nspname = 'switchback' or home.nspname ~ '^switchback_vault'))`;

const runsOurs = / EXECUTE FUNCTION "(switchback|switchback_vault[^"]*)"\."[^"]*"\(/;

/** In a dump with quoted identifiers; switching one to ALWAYS stands in the same entry. */
export const isOwnTrigger = ({ type, sql }: DumpEntry): boolean => type === 'TRIGGER' && runsOurs.test(sql);

/** As pg-delta knows them. */
export const ownTriggers = (schemas: string[]): FilterRule['match'] => ({
  all: [{ kind: 'trigger' }, { edgeTo: { schema: schemas } }],
});
