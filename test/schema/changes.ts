/** Changes to the schema of base.sql, one kind each. */
export interface Change {
  readonly sql: string;
  /** What differs, as `compareFingerprints` names it; of several one. */
  readonly object: string;
  /** The first major that knows it. */
  readonly since?: number;
  /** Not by pg-delta: named as unsupported. */
  readonly unseen?: true;
  /** The same, but only for what makes the change: the way back is known. */
  readonly oneWay?: true;
  /** pg-delta drops something and makes it anew, and says so: its rows are gone. */
  readonly anew?: true;
}

export const changes: readonly Change[] = [
  // Schemas and types
  { sql: 'create schema more', object: 'schema more' },
  { sql: 'create extension hstore schema app', object: 'extension hstore' },
  { sql: "alter type app.mood add value 'wild' before 'low'", object: 'enum app.mood' },
  { sql: "alter type app.mood add value 'first' before 'calm'", object: 'enum app.mood' },
  {
    sql: `alter table app.users alter later drop default, alter later type app."Other Mood" using later::text::app."Other Mood", alter later set default 'wild'`,
    object: 'column app.users.later',
  },
  {
    sql: 'alter table app.users alter later drop default, alter later type text, alter later set default 1',
    object: 'column app.users.later',
  },
  { sql: 'alter domain app.positive set not null', object: 'domain app.positive' },
  { sql: 'alter domain app.positive set default 2', object: 'domain app.positive' },
  {
    sql: 'alter domain app.positive add constraint below check (value < 9)',
    object: 'domain constraint app.positive.below',
  },
  { sql: 'alter type app.pair add attribute c int', object: 'type app.pair' },
  { sql: 'create type app.other as (b int, a int)', object: 'type app.other' },
  { sql: 'create type app.ints as range (subtype = int)', object: 'range app.ints' },
  { sql: "create collation app.other (provider = libc, locale = 'POSIX')", object: 'collation app.other' },

  // Tables
  { sql: 'create table app.t (id int)', object: 'table app.t' },
  {
    sql: 'create table app.t (id int primary key); alter table app.t add constraint again unique (id)',
    object: 'constraint app.t.again',
  },
  { sql: 'create unlogged table app.t (id int)', object: 'table app.t' },
  { sql: 'alter table app.posts set unlogged', object: 'table app.posts' },
  { sql: 'alter table app.posts set (fillfactor = 70)', object: 'table app.posts' },
  {
    sql: 'alter table app.posts set (toast.autovacuum_enabled = false)',
    object: 'toast options app.posts',
    unseen: true,
  },
  { sql: 'drop function app.notes(); drop table app.detached', object: 'function app.notes()' },
  { sql: 'drop table app.detached', object: 'column app.detached.at' },
  { sql: 'alter table app.child no inherit app.parent', object: 'inheritance app.child' },
  { sql: 'alter table app.logs detach partition app.logs_old', object: 'partition app.logs_old', anew: true },
  {
    sql: "alter table app.logs attach partition app.detached for values from ('2027-01-01') to ('2028-01-01')",
    object: 'partition app.detached',
    anew: true,
  },
  { sql: 'alter table app.posts replica identity full', object: 'replica identity app.posts' },
  {
    sql: 'alter table app.posts replica identity using index posts_key',
    object: 'replica identity app.posts',
  },
  { sql: 'alter table app.posts cluster on posts_author', object: 'clustering app.posts', unseen: true },
  { sql: 'alter table app.posts force row level security', object: 'row security app.posts' },
  { sql: 'alter table app.posts disable row level security', object: 'row security app.posts' },
  { sql: 'alter table app.posts owner to pg_monitor', object: 'owner of table app.posts', unseen: true },

  // Columns
  { sql: 'alter table app.users add column extra int', object: 'column app.users.extra' },
  { sql: 'alter table app.users drop column born', object: 'column app.users.born' },
  { sql: 'alter table app.users alter born type timestamp', object: 'column app.users.born' },
  { sql: 'alter table app.posts alter title type varchar(60)', object: 'column app.posts.title' },
  { sql: 'alter table app.users alter name drop default', object: 'column app.users.name' },
  { sql: "alter table app.users alter name set default 'somebody'", object: 'column app.users.name' },
  { sql: 'alter table app.users alter born set not null', object: 'column app.users.born' },
  { sql: 'alter table app.users alter email drop not null', object: 'column app.users.email' },
  { sql: 'alter table app.users alter id set generated always', object: 'column app.users.id' },
  { sql: 'alter table app.users alter id drop identity', object: 'column app.users.id' },
  { sql: 'alter table app.users alter twice drop expression', object: 'column app.users.twice' },
  {
    sql: 'alter table app.posts alter body type text collate "C"',
    object: 'column app.posts.body',
    anew: true,
  },
  {
    sql: 'alter table app.users alter tags set storage external',
    object: 'column storage app.users.tags',
    unseen: true,
  },
  {
    sql: 'alter table app.posts alter body set compression pglz',
    object: 'column storage app.posts.body',
    unseen: true,
  },
  {
    sql: 'alter table app.users alter tags set statistics 500',
    object: 'column statistics app.users.tags',
    unseen: true,
  },
  {
    sql: 'alter table app.users alter tags set (n_distinct = 5)',
    object: 'column statistics app.users.tags',
    unseen: true,
  },
  {
    sql: 'alter table app.users add v int generated always as (small + 1) virtual',
    object: 'column app.users.v',
    since: 18,
  },
  {
    sql: `alter table app.users add "v.v" int generated always as (small + 1) virtual not null`,
    object: 'column app.users.v.v',
    since: 18,
  },

  // Constraints
  {
    sql: 'alter table app.users add constraint young check (born is not null) not valid',
    object: 'constraint app.users.young',
  },
  { sql: 'alter table app.posts validate constraint long', object: 'constraint app.posts.long' },
  { sql: 'alter table app.posts drop constraint apart', object: 'constraint app.posts.apart' },
  {
    sql: 'alter table app.posts alter constraint posts_author_fkey deferrable initially deferred',
    object: 'constraint app.posts.posts_author_fkey',
  },
  {
    sql: 'alter table app.users drop constraint users_email_key',
    object: 'constraint app.users.users_email_key',
  },
  { sql: 'alter table app.detached add primary key (id)', object: 'constraint app.detached.detached_pkey' },
  {
    sql: 'alter table app.posts rename constraint posts_title_not_null to titled',
    object: 'constraint app.posts.titled',
    since: 18,
  },
  {
    sql: 'alter table app.users add "a.b" int constraint "c.d" not null',
    object: 'constraint app.users.c.d',
    since: 18,
  },
  {
    sql: 'alter table app.posts add constraint weak check (id > 0) not enforced',
    object: 'constraint app.posts.weak',
    since: 18,
  },

  // Indexes and sequences
  {
    sql: 'create index extra on app.users (born desc nulls last) include (name)',
    object: 'index app.users.extra',
  },
  { sql: 'drop index app.posts_title', object: 'index app.posts.posts_title' },
  { sql: 'drop index app.logs_note', object: 'index app.logs.logs_note' },
  { sql: 'create index logs_at on app.logs (at)', object: 'index app.logs.logs_at' },
  { sql: 'alter index app.posts_author set (fillfactor = 60)', object: 'index app.posts.posts_author' },
  {
    sql: 'alter index app.posts_title alter column 1 set statistics 300',
    object: 'index statistics app.posts.posts_title',
    unseen: true,
  },
  { sql: 'alter sequence app.numbers increment 7 cache 3 cycle', object: 'sequence app.numbers' },
  { sql: 'alter sequence app.numbers owned by app.users.born', object: 'sequence app.numbers' },
  { sql: 'alter sequence app.posts_id_seq as bigint', object: 'sequence app.posts_id_seq' },

  // Views and code
  {
    sql: 'create or replace view app.active as select id, name, mood from app.users',
    object: 'view app.active',
  },
  { sql: 'alter view app.active set (security_barrier)', object: 'view app.active' },
  {
    sql: "alter view app.active alter name set default 'x'",
    object: 'default of view app.active.name',
    unseen: true,
  },
  { sql: 'drop materialized view app.counted', object: 'materialized view app.counted' },
  {
    sql: "create or replace function app.add(a int, b int default 1) returns int language sql immutable as 'select b + a'",
    object: 'function app.add(a integer, b integer)',
  },
  { sql: 'alter function app.add strict cost 7', object: 'function app.add(a integer, b integer)' },
  { sql: "alter function app.add set search_path = ''", object: 'function app.add(a integer, b integer)' },
  {
    sql: "create or replace procedure app.work() language sql as 'select 2'",
    object: 'procedure app.work()',
  },
  {
    sql: "create or replace aggregate app.total (int) (sfunc = int4pl, stype = int, initcond = '5')",
    object: 'aggregate app.total(integer)',
  },
  { sql: 'alter table app.posts disable trigger touched', object: 'trigger app.posts.touched' },
  { sql: 'drop trigger touched on app.posts', object: 'trigger app.posts.touched' },
  {
    sql: 'alter table app.posts disable trigger all',
    object: 'constraint triggers app.posts.posts_author_fkey',
    unseen: true,
  },
  {
    sql: 'create or replace rule quiet as on delete to app.active do also nothing',
    object: 'rule app.active.quiet',
  },
  { sql: 'alter policy own on app.posts using (author = 2)', object: 'policy app.posts.own' },
  { sql: 'drop policy own on app.posts', object: 'policy app.posts.own' },
  { sql: 'alter event trigger app_noted disable', object: 'event trigger app_noted' },

  // What few have
  { sql: 'drop statistics app.posts_both', object: 'statistics app.posts_both', unseen: true },
  {
    sql: 'alter statistics app.users_both set statistics 50',
    object: 'statistics app.users_both',
    unseen: true,
  },
  {
    sql: 'create cast (app.pair as text) with inout as assignment',
    object: 'cast app.pair as text',
    unseen: true,
  },
  { sql: 'drop operator app.===(int, int)', object: 'operator app.===(integer, integer)', unseen: true },
  {
    sql: 'create operator class app.plain_ops for type int using btree as operator 1 <, operator 2 <=, operator 3 =, operator 4 >=, operator 5 >, function 1 btint4cmp(int, int)',
    object: 'operator class app.plain_ops using btree',
    unseen: true,
  },
  {
    sql: 'alter text search configuration app.simple drop mapping for word',
    object: 'text search configuration app.simple',
    unseen: true,
  },
  {
    sql: 'create text search dictionary app.words (template = simple)',
    object: 'text search dictionary app.words',
    unseen: true,
  },
  {
    sql: "alter server elsewhere options (set host 'other.example')",
    object: 'server elsewhere',
    unseen: true,
  },
  { sql: 'alter publication app_news add table app.posts', object: 'publication table app.posts.app_news' },
  { sql: "alter publication app_news set (publish = 'insert')", object: 'publication app_news' },

  // About objects
  { sql: "comment on column app.posts.body is 'in HTML'", object: 'comment on table column app.posts.body' },
  { sql: 'comment on schema app is null', object: 'comment on schema app' },
  {
    sql: "comment on function app.add(int, int) is 'adds'",
    object: 'comment on function app.add(integer, integer)',
  },
  {
    sql: "comment on constraint long on app.posts is 'long'",
    object: 'comment on table constraint app.posts.long',
  },
  { sql: 'grant delete on app.posts to pg_monitor', object: 'grants on table app.posts' },
  { sql: 'revoke insert on app.posts from pg_monitor', object: 'grants on table app.posts' },
  { sql: 'grant select (name) on app.users to pg_monitor', object: 'grants on column app.users.name' },
  {
    sql: 'revoke execute on function app.add from public',
    object: 'grants on function app.add(a integer, b integer)',
  },
  { sql: 'grant usage on schema app to pg_monitor with grant option', object: 'grants on schema app' },
  {
    sql: 'alter default privileges in schema app revoke select on tables from pg_monitor',
    object: 'default privileges app.of switchback on tables',
  },
];

export const changesFor = (major: number): readonly Change[] =>
  changes.filter(({ since = 0 }) => since <= major);
