/** Facts about other objects: comments and default privileges. */
import { type FactQuery, noOwner } from './scope.ts';

/** Of objects of users: made after the server was, or the schema that it was made with. */
export const comments: FactQuery = () => `
  select 'comment on ' || i.type,
         case when i.schema is null then null else i.object_names[1] end,
         case when i.schema is null then i.object_names[1] else i.object_names[2] end
           || case when i.type in ('function', 'procedure', 'aggregate') then '(' || array_to_string(i.object_args, ', ') || ')' else '' end,
         case when i.schema is null then i.object_names[2] else i.object_names[3] end,
         quote_literal(i.description), ${noOwner}
    from (select a.type, a.object_names, a.object_args, d.description, n.name as schema
            from pg_description d,
                 lateral pg_identify_object_as_address(d.classoid, d.objoid, d.objsubid) a
            left join namespaces n on n.name = a.object_names[1]
                 and a.type not in ('schema', 'extension', 'event trigger', 'publication', 'server', 'foreign-data wrapper', 'language', 'access method')
           where (d.objoid >= 16384 or (d.classoid = 'pg_namespace'::regclass and exists (select from namespaces s where s.oid = d.objoid)))
             and not exists (select from members own where own.classid = d.classoid and own.objid = d.objoid)) i
   where not coalesce('_prisma_migrations' = any (i.object_names), false)
     and not (i.schema is null and coalesce(i.object_names[1] ~ '^switchback(_vault.*)?$', false))`;

export const defaultPrivileges: FactQuery = () => `
  select 'default privileges', n.name::text,
         'of ' || pg_get_userbyid(d.defaclrole) || ' on '
           || case d.defaclobjtype when 'r' then 'tables' when 'S' then 'sequences' when 'f' then 'functions' when 'T' then 'types' when 'n' then 'schemas' else d.defaclobjtype::text end,
         null, 'default privileges', d.defaclrole, d.defaclacl, null
    from pg_default_acl d left join namespaces n on n.oid = d.defaclnamespace
   where d.defaclnamespace = 0 or n.oid is not null`;
