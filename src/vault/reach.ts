import type { Session } from '../db/session.ts';
import { isUserTriggerSql } from '../db/user-triggers.ts';
import type { WrittenName } from './removals.ts';

export interface Reach {
  /** Tables whose rows may change, by oid; of partitions only the table at the top. */
  readonly tables: readonly number[];
  /** Functions of triggers that write where their text does not say. */
  readonly hidden: readonly string[];
  /** The text of all code that may be run. */
  readonly code: readonly string[];
  /** Whether any of it is in a language that may do whatever the server's own user may. */
  readonly unbounded: boolean;
}

/**
 * Tables that a change of rows in the given ones can reach: through cascading foreign keys, child tables, views, rules,
 * and triggers, as far as the text of their functions names tables.
 * @param functions that are called, by oid; `text` is code that is run
 */
export async function reachOf(
  session: Session,
  from: readonly number[],
  functions: readonly number[] = [],
  text = '',
): Promise<Reach> {
  const called =
    functions.length === 0 && text === '' ? nothing : await calledReach(session, functions, text);
  const found = new Set<number>();
  const hidden = new Set<string>(called.hidden);
  const code = new Set<string>(called.code);
  let { unbounded } = called;
  let open = [...new Set([...from, ...called.tables])];
  while (open.length > 0) {
    for (const oid of open) found.add(oid);
    const { rows } = await session.query<{ oid: number }>(neighboursSql, [open]);
    const triggered = await triggerReach(session, open);
    for (const name of triggered.hidden) hidden.add(name);
    for (const one of triggered.code) code.add(one);
    unbounded ||= triggered.unbounded;
    open = [...new Set([...rows.map(({ oid }) => oid), ...triggered.tables])].filter(
      (oid) => !found.has(oid),
    );
  }
  const { rows } = await session.query<{ oid: number }>(tablesSql, [[...found]]);
  return { tables: rows.map(({ oid }) => oid), hidden: [...hidden].sort(), code: [...code], unbounded };
}

/**
 * Foreign tables among the given ones, below them, or behind views of them; and those to which code writes, as far as its
 * text says so.
 */
export async function foreignTables(
  session: Session,
  from: readonly number[],
  code: readonly string[],
): Promise<string[]> {
  const { rows } = await session.query<{ name: string; relation: string; reached: boolean }>(
    `with recursive reached(oid) as (
       select unnest($1::oid[])
       union select n.oid from reached e cross join lateral (
         select h.inhrelid as oid from pg_inherits h where h.inhparent = e.oid
         union all
         select d.refobjid from pg_rewrite r join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid and d.refclassid = 'pg_class'::regclass
          where r.ev_class = e.oid) n)
     select c.relname as name, format('%I.%I', n.nspname, c.relname) as relation, c.oid in (select oid from reached) as reached
       from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind = 'f' order by 2`,
    [from],
  );
  const isWritten = (name: string): boolean => {
    const quoted = name.replace(/[^\w]/g, '\\$&');
    const writes = new RegExp(
      `\\b(insert\\s+into|update|delete\\s+from|merge\\s+into|truncate(\\s+table)?)\\s+(only\\s+)?([\\w"]+\\s*\\.\\s*)?"?${quoted}\\b`,
      'i',
    );
    return code.some((text) => writes.test(text));
  };
  return rows.filter(({ name, reached }) => reached || isWritten(name)).map(({ relation }) => relation);
}

/** A partition is left out where the table at its top is there: triggers are cloned from that one. */
const tablesSql = `select c.oid from pg_class c where c.oid = any($1::oid[]) and c.relkind in ('r', 'p') and c.relpersistence <> 't'
  and c.relnamespace <> 'pg_catalog'::regnamespace
  and not (c.relispartition and exists (select from pg_partition_ancestors(c.oid) a where a.relid <> c.oid and a.relid = any($1::oid[])))
  order by c.oid`;

const neighboursSql = `
  select k.conrelid as oid from pg_constraint k
   where k.contype = 'f' and k.confrelid = any($1::oid[]) and (k.confdeltype in ('c', 'n', 'd') or k.confupdtype in ('c', 'n', 'd'))
  union select h.inhrelid from pg_inherits h join pg_class c on c.oid = h.inhrelid where h.inhparent = any($1::oid[]) and not c.relispartition
  union select d.refobjid from pg_rewrite r join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid and d.refclassid = 'pg_class'::regclass
   where r.ev_class = any($1::oid[])`;

interface Routine {
  readonly oid: number;
  readonly name: string;
  readonly identity: string;
  readonly source: string;
  readonly readable: boolean;
  readonly ofExtension: boolean;
  readonly unbounded: boolean;
}

async function triggerReach(session: Session, tables: readonly number[]): Promise<Reach> {
  const { rows: called } = await session.query<Routine>(
    `select distinct ${routineSql} from pg_trigger g join pg_proc p on p.oid = g.tgfoid join pg_language l on l.oid = p.prolang
      where g.tgrelid = any($1::oid[]) and ${isUserTriggerSql('g')} and g.tgenabled <> 'D'`,
    [tables],
  );
  return followRoutines(session, called);
}

const nothing: Reach = { tables: [], hidden: [], code: [], unbounded: false };

/** Functions that a statement calls, by oid, and its own text. */
async function calledReach(session: Session, functions: readonly number[], text: string): Promise<Reach> {
  const { rows } = await session.query<Routine>(
    `select ${routineSql} from pg_catalog.pg_proc p join pg_catalog.pg_language l on l.oid = p.prolang where p.oid = any($1::pg_catalog.oid[])`,
    [functions],
  );
  const own = { oid: 0, name: '', identity: '', source: text };
  return followRoutines(session, [
    ...rows,
    ...(text === '' ? [] : [{ ...own, readable: true, ofExtension: false, unbounded: false }]),
  ]);
}

/** Tables and routines are found by the words of a routine's text. Of extensions none is followed whose text cannot be read. */
async function followRoutines(session: Session, called: readonly Routine[]): Promise<Reach> {
  if (called.length === 0) return nothing;
  const { rows: relations } = await session.query<{ oid: number; name: string }>(
    "select oid, relname as name from pg_class where relkind in ('r', 'p', 'v') and relnamespace not in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)",
  );
  const { rows: routines } = await session.query<Routine>(
    `select ${routineSql} from pg_proc p join pg_language l on l.oid = p.prolang where p.pronamespace not in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)`,
  );
  const reached = new Set<number>();
  const hidden: string[] = [];
  const code: string[] = [];
  let unbounded = false;
  const seen = new Set<number>();
  for (const queue = [...called]; queue.length > 0; ) {
    const routine = queue.shift();
    if (routine === undefined || seen.has(routine.oid)) continue;
    seen.add(routine.oid);
    if (!routine.readable || /\b(execute|truncate)\b/i.test(routine.source)) hidden.push(routine.identity);
    code.push(routine.source);
    unbounded ||= routine.unbounded;
    const words = wordsOf(routine.source);
    for (const { oid, name } of relations) if (words.has(name.toLowerCase())) reached.add(oid);
    queue.push(
      ...routines.filter(
        ({ name, readable, ofExtension }) => words.has(name.toLowerCase()) && (readable || !ofExtension),
      ),
    );
  }
  return { tables: [...reached], hidden, code, unbounded };
}

const routineSql = `p.oid, p.proname as name, p.oid::regprocedure::text as identity, p.prosrc as source,
  l.lanname in ('sql', 'plpgsql') and p.prosrc <> '' as readable,
  exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e') as "ofExtension",
  not l.lanpltrusted and l.lanname not in ('c', 'internal') as unbounded`;

/** Quoted names whole, and everything that looks like a name. */
const wordsOf = (source: string): ReadonlySet<string> =>
  new Set(
    [...source.matchAll(/"((?:[^"]|"")+)"|[\p{L}_][\p{L}\p{N}_$]*/gu)].map(([word, quoted]) =>
      (quoted?.replaceAll('""', '"') ?? word).toLowerCase(),
    ),
  );

/**
 * Oids of the functions of a name, along the session's search_path, that may write: not PostgreSQL's own, and of
 * extensions none whose text cannot be read.
 */
export async function resolveFunctions(session: Session, names: readonly WrittenName[]): Promise<number[]> {
  const oids: number[] = [];
  for (const { schema, name } of names) {
    const { rows } = await session.query<{ oid: number }>(
      `select p.oid from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace join pg_catalog.pg_language l on l.oid = p.prolang
        where p.proname = $1 and p.provolatile = 'v' and n.nspname not in ('pg_catalog', 'information_schema')
          and case when $2::text is null then pg_catalog.pg_function_is_visible(p.oid) else n.nspname = $2 end
          and (l.lanname in ('sql', 'plpgsql') or not exists (
            select from pg_catalog.pg_depend d where d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass and d.objid = p.oid and d.deptype = 'e'))`,
      [name, schema],
    );
    oids.push(...rows.map(({ oid }) => oid));
  }
  return oids;
}
