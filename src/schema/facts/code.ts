/** Facts of functions, triggers, rules and policies. */
import { isOwnTriggerSql } from '../own-triggers.ts';
import { type FactQuery, noOwner, notInternal, notMember, words } from './scope.ts';

const called = `p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')'`;

export const functions: FactQuery = () => `
  select case p.prokind when 'p' then 'procedure' else 'function' end, n.name, ${called}, null,
         pg_get_functiondef(p.oid), p.proowner, p.proacl, 'f'
    from namespaces n join pg_proc p on p.pronamespace = n.oid
   where p.prokind <> 'a' and ${notMember('pg_proc', 'p.oid')} and ${notInternal('pg_proc', 'p.oid')}`;

export const aggregates: FactQuery = () => `
  select 'aggregate', n.name, ${called}, null,
         ${words(
           'pg_get_function_result(p.oid)',
           "'kind ' || g.aggkind::text",
           "'by ' || g.aggtransfn::regproc",
           "'type ' || g.aggtranstype::regtype || ' ' || g.aggtransspace",
           "'begin ' || quote_literal(g.agginitval)",
           "'final ' || nullif(g.aggfinalfn, 0)::regproc || case when g.aggfinalextra then ' extra ' else ' ' end || g.aggfinalmodify::text",
           "'combine ' || nullif(g.aggcombinefn, 0)::regproc",
           "'serial ' || nullif(g.aggserialfn, 0)::regproc || ' ' || nullif(g.aggdeserialfn, 0)::regproc",
           "'moving ' || nullif(g.aggmtransfn, 0)::regproc || ' ' || nullif(g.aggminvtransfn, 0)::regproc || ' ' || g.aggmtranstype::regtype || ' ' || g.aggmtransspace || ' ' || g.aggmfinalmodify::text",
           "'moving final ' || nullif(g.aggmfinalfn, 0)::regproc",
           "'moving begin ' || quote_literal(g.aggminitval)",
           "'sorted by ' || nullif(g.aggsortop, 0)::regoperator",
           "'parallel ' || p.proparallel::text",
         )}, p.proowner, p.proacl, 'f'
    from namespaces n
    join pg_proc p on p.pronamespace = n.oid
    join pg_aggregate g on g.aggfnoid = p.oid
   where ${notMember('pg_proc', 'p.oid')}`;

const enabled = (column: string): string =>
  `case ${column} when 'D' then '(disabled)' when 'R' then '(on replicas)' when 'A' then '(always)' end`;

export const triggers: FactQuery = () => `
  select 'trigger', c.schema, c.relname, g.tgname, ${words('pg_get_triggerdef(g.oid)', enabled('g.tgenabled'))}, ${noOwner}
    from relations c join pg_trigger g on g.tgrelid = c.oid
   where not g.tgisinternal and not ${isOwnTriggerSql('g')}`;

/** Of constraints. Their names have numbers of the catalogue in them. */
export const disabledTriggers: FactQuery = () => `
  select 'constraint triggers', c.schema, c.relname, k.conname,
         string_agg(distinct g.tgfoid::regproc || ' ' || ${enabled('g.tgenabled')}, ', '), ${noOwner}
    from relations c
    join pg_trigger g on g.tgrelid = c.oid and g.tgisinternal and g.tgenabled <> 'O'
    join pg_constraint k on k.oid = g.tgconstraint and k.conparentid = 0
   group by c.schema, c.relname, k.conname`;

export const rules: FactQuery = () => `
  select 'rule', c.schema, c.relname, r.rulename, ${words('pg_get_ruledef(r.oid)', enabled('r.ev_enabled'))}, ${noOwner}
    from relations c join pg_rewrite r on r.ev_class = c.oid
   where r.rulename <> '_RETURN'`;

export const policies: FactQuery = () => `
  select 'policy', c.schema, c.relname, p.polname,
         ${words(
           "case when p.polpermissive then 'permissive' else 'restrictive' end",
           "case p.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete' else 'all' end",
           "'to ' || (select string_agg(case r when 0 then 'public' else quote_ident(pg_get_userbyid(r)) end, ', ' order by 1) from unnest(p.polroles) r)",
           "'using (' || pg_get_expr(p.polqual, p.polrelid) || ')'",
           "'check (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')'",
         )}, ${noOwner}
    from relations c join pg_policy p on p.polrelid = c.oid`;

export const eventTriggers: FactQuery = () => `
  select 'event trigger', null, e.evtname, null,
         ${words('e.evtevent', 'e.evttags::text', 'e.evtfoid::regproc', enabled('e.evtenabled'))}, e.evtowner, null, null
    from pg_event_trigger e where ${notMember('pg_event_trigger', 'e.oid')}`;
