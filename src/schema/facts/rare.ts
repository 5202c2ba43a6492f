/** Facts of what few schemas have: operators, casts, text search, statistics, languages, publications, servers. */
import { type FactQuery, made, noOwner, notInternal, notMember, words } from './scope.ts';

export const statistics: FactQuery = () => `
  select 'statistics', n.name, s.stxname::text, null,
         ${words('pg_get_statisticsobjdef(s.oid)', "'target ' || nullif(s.stxstattarget, -1)")}, s.stxowner, null, null
    from namespaces n join pg_statistic_ext s on s.stxnamespace = n.oid`;

export const casts: FactQuery = () => `
  select 'cast', null, c.castsource::regtype || ' as ' || c.casttarget::regtype, null,
         ${words('c.castcontext', 'c.castmethod', 'nullif(c.castfunc, 0)::regprocedure')}, ${noOwner}
    from pg_cast c where ${made('c.oid')} and ${notMember('pg_cast', 'c.oid')} and ${notInternal('pg_cast', 'c.oid')}`;

export const operators: FactQuery = () => `
  select 'operator', n.name, o.oprname || '(' || concat_ws(', ', nullif(o.oprleft, 0)::regtype, o.oprright::regtype) || ')', null,
         ${words(
           'o.oprcode::oid::regprocedure',
           "'commutator ' || nullif(o.oprcom, 0)::regoperator",
           "'negator ' || nullif(o.oprnegate, 0)::regoperator",
           "'restrict ' || nullif(o.oprrest, 0)::regproc",
           "'join ' || nullif(o.oprjoin, 0)::regproc",
           "case when o.oprcanmerge then 'merges' end",
           "case when o.oprcanhash then 'hashes' end",
         )}, o.oprowner, null, null
    from namespaces n join pg_operator o on o.oprnamespace = n.oid
   where ${notMember('pg_operator', 'o.oid')}`;

export const operatorClasses: FactQuery = () => `
  select 'operator class', n.name, o.opcname || ' using ' || m.amname, null,
         ${words(
           'o.opcintype::regtype',
           "case when o.opcdefault then 'default' end",
           "'family ' || quote_ident(f.opfname)",
           "'storage ' || nullif(o.opckeytype, 0)::regtype",
         )}, o.opcowner, null, null
    from namespaces n
    join pg_opclass o on o.opcnamespace = n.oid
    join pg_opfamily f on f.oid = o.opcfamily
    join pg_am m on m.oid = o.opcmethod
   where ${notMember('pg_opclass', 'o.oid')}`;

export const operatorFamilies: FactQuery = () => `
  select 'operator family', n.name, f.opfname || ' using ' || m.amname, null,
         ${words(
           "'family'",
           `(select string_agg(concat_ws(' ', p.amopstrategy, p.amopopr::regoperator, p.amoppurpose, nullif(p.amopsortfamily, 0)), ', ' order by p.amopstrategy, p.amopopr::regoperator::text)
               from pg_amop p where p.amopfamily = f.oid)`,
           `(select string_agg(concat_ws(' ', p.amprocnum, p.amproclefttype::regtype, p.amprocrighttype::regtype, p.amproc::oid::regprocedure), ', ' order by p.amprocnum, p.amproclefttype::regtype::text, p.amprocrighttype::regtype::text)
               from pg_amproc p where p.amprocfamily = f.oid)`,
         )}, f.opfowner, null, null
    from namespaces n
    join pg_opfamily f on f.opfnamespace = n.oid
    join pg_am m on m.oid = f.opfmethod
   where ${notMember('pg_opfamily', 'f.oid')}`;

export const textSearchConfigurations: FactQuery = () => `
  select 'text search configuration', n.name, t.cfgname, null,
         ${words(
           't.cfgparser::regclass::text',
           `(select string_agg(m.maptokentype || ' ' || m.mapdict::regdictionary, ', ' order by m.maptokentype, m.mapseqno)
               from pg_ts_config_map m where m.mapcfg = t.oid)`,
         ).replace(
           't.cfgparser::regclass::text',
           '(select p.prsname from pg_ts_parser p where p.oid = t.cfgparser)',
         )}, t.cfgowner, null, null
    from namespaces n join pg_ts_config t on t.cfgnamespace = n.oid
   where ${notMember('pg_ts_config', 't.oid')}`;

export const textSearchDictionaries: FactQuery = () => `
  select 'text search dictionary', n.name, t.dictname, null,
         ${words('(select e.tmplname from pg_ts_template e where e.oid = t.dicttemplate)', 't.dictinitoption')}, t.dictowner, null, null
    from namespaces n join pg_ts_dict t on t.dictnamespace = n.oid
   where ${notMember('pg_ts_dict', 't.oid')}`;

export const textSearchParsers: FactQuery = () => `
  select 'text search parser', n.name, t.prsname, null,
         ${words('t.prsstart', 't.prstoken', 't.prsend', 't.prsheadline', 't.prslextype')}, ${noOwner}
    from namespaces n join pg_ts_parser t on t.prsnamespace = n.oid
   where ${notMember('pg_ts_parser', 't.oid')}
  union all
  select 'text search template', n.name, t.tmplname, null, ${words('t.tmplinit', 't.tmpllexize')}, ${noOwner}
    from namespaces n join pg_ts_template t on t.tmplnamespace = n.oid
   where ${notMember('pg_ts_template', 't.oid')}`;

export const conversions: FactQuery = () => `
  select 'conversion', n.name, c.conname, null,
         ${words('pg_encoding_to_char(c.conforencoding)', 'pg_encoding_to_char(c.contoencoding)', 'c.conproc', 'c.condefault')}, c.conowner, null, null
    from namespaces n join pg_conversion c on c.connamespace = n.oid
   where ${notMember('pg_conversion', 'c.oid')}`;

export const languages: FactQuery = () => `
  select 'language', null, l.lanname, null,
         ${words('l.lanpltrusted', 'nullif(l.lanplcallfoid, 0)::regproc', 'nullif(l.laninline, 0)::regproc', 'nullif(l.lanvalidator, 0)::regproc')}, l.lanowner, l.lanacl, 'l'
    from pg_language l where ${made('l.oid')} and ${notMember('pg_language', 'l.oid')}
  union all
  select 'transform', null, t.trftype::regtype || ' for ' || l.lanname, null,
         ${words('nullif(t.trffromsql, 0)::regproc', 'nullif(t.trftosql, 0)::regproc')}, ${noOwner}
    from pg_transform t join pg_language l on l.oid = t.trflang
   where ${notMember('pg_transform', 't.oid')}
  union all
  select 'access method', null, m.amname, null, ${words('m.amtype', 'm.amhandler')}, ${noOwner}
    from pg_am m where ${made('m.oid')} and ${notMember('pg_am', 'm.oid')}`;

/** Options may hold what nobody should read. */
export const servers: FactQuery = () => `
  select 'foreign data wrapper', null, w.fdwname, null,
         ${words('nullif(w.fdwhandler, 0)::regproc', 'nullif(w.fdwvalidator, 0)::regproc', 'md5(w.fdwoptions::text)')}, w.fdwowner, w.fdwacl, 'F'
    from pg_foreign_data_wrapper w where ${notMember('pg_foreign_data_wrapper', 'w.oid')}
  union all
  select 'server', null, s.srvname, null,
         ${words('w.fdwname', 's.srvtype', 's.srvversion', 'md5(s.srvoptions::text)')}, s.srvowner, s.srvacl, 'S'
    from pg_foreign_server s join pg_foreign_data_wrapper w on w.oid = s.srvfdw
   where ${notMember('pg_foreign_server', 's.oid')}`;

export const publications: FactQuery = (major) => `
  select 'publication', null, p.pubname, null,
         ${words(
           "case when p.puballtables then 'all tables' end",
           "case when p.pubinsert then 'insert' end",
           "case when p.pubupdate then 'update' end",
           "case when p.pubdelete then 'delete' end",
           "case when p.pubtruncate then 'truncate' end",
           "case when p.pubviaroot then 'via root' end",
           ...(major < 18 ? [] : ["'generated ' || p.pubgencols::text"]),
         )}, p.pubowner, null, null
    from pg_publication p where ${notMember('pg_publication', 'p.oid')}
  union all
  select 'publication table', c.schema, c.relname, p.pubname,
         ${words(
           "'published'",
           ...(major < 15
             ? []
             : [
                 "'where ' || pg_get_expr(r.prqual, r.prrelid)",
                 "'columns ' || (select string_agg(quote_ident(a.attname), ', ' order by a.attname) from pg_attribute a where a.attrelid = r.prrelid and a.attnum = any (r.prattrs))",
               ]),
         )}, ${noOwner}
    from pg_publication_rel r join pg_publication p on p.oid = r.prpubid join relations c on c.oid = r.prrelid
  ${
    major < 15
      ? ''
      : `union all
  select 'publication schema', null, n.name, p.pubname, 'published', ${noOwner}
    from pg_publication_namespace s join pg_publication p on p.oid = s.pnpubid join namespaces n on n.oid = s.pnnspid`
  }`;
