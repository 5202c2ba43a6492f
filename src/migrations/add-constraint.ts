import type { Allowance } from '../config.ts';
import { sqlstateOf } from '../db/errors.ts';
import { quoteIdentifier } from '../db/quote.ts';
import type { Session } from '../db/session.ts';
import { AppError } from '../errors.ts';
import { inSavepoint } from '../vault/as-vault.ts';
import type { AddedConstraint } from './added-constraints.ts';

/** A constraint that not all rows hold to. It is there and holds for what is written from now on. */
export interface LeftUnvalidated {
  readonly table: string;
  readonly constraint: string;
  readonly rows: number;
}

/** A key, or a unique index, that is not there. */
export interface LeftOut {
  readonly table: string;
  readonly name: string;
  /** That stand there more than once, and the rows in which they stand. */
  readonly values: number;
  readonly rows: number;
  /** In which a column of a primary key has no value. */
  readonly without: number;
}

const violations: ReadonlySet<string | undefined> = new Set(['23514', '23503', '23505', '23502']);

/**
 * Adds a constraint, inside the session's open transaction. Rows that do not hold to it leave a CHECK and a foreign key
 * `NOT VALID`; a key that is not unique stops, unless it is allowed to go on without it.
 * @param allowance for `ROLLBACK_DUPLICATES`
 * @returns what is not as the text wants it; null where all is
 * @throws AppError `ROLLBACK_DUPLICATES`, and PostgreSQL's own
 */
export async function addConstraint(
  session: Session,
  added: AddedConstraint,
  allowance: Allowance | undefined,
): Promise<LeftUnvalidated | LeftOut | null> {
  try {
    await inSavepoint(session, () => session.query(added.sql));
    return null;
  } catch (error) {
    if (!violations.has(sqlstateOf(error))) throw error;
    if (added.kind !== 'unique') return addUnvalidated(session, added, error);
    const { examples, ...left } = await countDuplicates(session, added);
    if (left.values + left.without === 0) throw error;
    if (allowance === undefined) throw duplicates({ ...left, examples }, error);
    return left;
  }
}

/** The same of a key, where its rows are unique. @returns whether it is there */
export async function addWhereUnique(session: Session, added: AddedConstraint): Promise<boolean> {
  try {
    await inSavepoint(session, () => session.query(added.sql));
    return true;
  } catch (error) {
    if (!violations.has(sqlstateOf(error))) throw error;
    return false;
  }
}

/** Whether it is there, and all rows hold to it. */
export async function isThere(session: Session, { table, name }: AddedConstraint): Promise<boolean> {
  const { rows } = await session.query<{ done: boolean }>(
    `select exists (select from pg_catalog.pg_constraint where conrelid = $1::text::pg_catalog.regclass and conname = $2 and convalidated)
         or exists (select from pg_catalog.pg_index i join pg_catalog.pg_class c on c.oid = i.indexrelid
                     where i.indrelid = $1::text::pg_catalog.regclass and c.relname = $2 and i.indisunique) as done`,
    [table, name],
  );
  return rows[0]?.done === true;
}

/** What is not as the text wants it, of a constraint that was added before. */
export async function lookAtConstraint(
  session: Session,
  added: AddedConstraint,
): Promise<LeftUnvalidated | LeftOut | null> {
  const { kind } = added;
  if (await isThere(session, added)) return null;
  if (kind !== 'unique') return countViolations(session, added);
  const { examples: _, ...left } = await countDuplicates(session, added);
  return left;
}

/** @param violation is thrown where PostgreSQL knows no NOT VALID, as for foreign keys of partitioned tables before 18 */
async function addUnvalidated(
  session: Session,
  added: AddedConstraint,
  violation: unknown,
): Promise<LeftUnvalidated> {
  try {
    await inSavepoint(session, () => session.query(`${added.sql} not valid`));
  } catch (error) {
    if (sqlstateOf(error) === undefined || !session.alive) throw error;
    throw violation;
  }
  return countViolations(session, added);
}

/** The condition of a CHECK is as PostgreSQL has understood it. Of a foreign key a row with a NULL is no violation, unless it is MATCH FULL. */
async function countViolations(
  session: Session,
  { kind, table, name }: AddedConstraint,
): Promise<LeftUnvalidated> {
  const { rows } = await session.query<{ condition: string }>(kind === 'check' ? checkSql : foreignKeySql, [
    table,
    name,
  ]);
  const counted = await session.query<{ count: number }>(
    `select pg_catalog.count(*)::pg_catalog.float8 as count from ${table} t where ${rows[0]?.condition ?? 'false'}`,
  );
  return { table, constraint: name, rows: counted.rows[0]?.count ?? 0 };
}

const checkSql = `select 'not (' || pg_catalog.pg_get_expr(conbin, conrelid) || ')' as condition from pg_catalog.pg_constraint
  where conrelid = $1::text::pg_catalog.regclass and conname = $2`;

const foreignKeySql = `
  select pg_catalog.format('%s and not exists (select from %s p where %s)',
      case confmatchtype when 'f' then pg_catalog.format('pg_catalog.num_nonnulls(%s) > 0', string_agg(own, ', '))
           else string_agg(pg_catalog.format('%s is not null', own), ' and ') end,
      confrelid::pg_catalog.regclass, string_agg(pg_catalog.format('%s = %s', theirs, own), ' and ')) as condition
    from (select k.confmatchtype, k.confrelid, pg_catalog.format('t.%I', a.attname) as own, pg_catalog.format('p.%I', b.attname) as theirs
            from pg_catalog.pg_constraint k cross join lateral rows from (pg_catalog.unnest(k.conkey), pg_catalog.unnest(k.confkey)) u(own, theirs)
            join pg_catalog.pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.own
            join pg_catalog.pg_attribute b on b.attrelid = k.confrelid and b.attnum = u.theirs
           where k.conrelid = $1::text::pg_catalog.regclass and k.conname = $2) c
   group by confmatchtype, confrelid`;

interface Key {
  /** SQL, without a table before them. */
  readonly parts: readonly string[];
  /** SQL of the rows that it is about. */
  readonly where: string;
}

/** The values stand in PostgreSQL's DETAIL only: whoever may not read the database's rows does not see them. */
interface Duplicates extends LeftOut {
  readonly examples: readonly string[] | null;
}

async function countDuplicates(session: Session, added: AddedConstraint): Promise<Duplicates> {
  const { table, name, columns, nullsAreEqual, isPrimary } = added;
  const { parts, where }: Key =
    columns === null
      ? await readIndexKey(session, added)
      : { parts: columns.map((column) => quoteIdentifier(column)), where: 'true' };
  const known = parts.map((part) => `(${part}) is not null`).join(' and ');
  const { rows } = await session.query<Pick<Duplicates, 'values' | 'rows' | 'without' | 'examples'>>(
    `select pg_catalog.count(*)::pg_catalog.float8 as values, coalesce(pg_catalog.sum(n), 0)::pg_catalog.float8 as rows,
       (select pg_catalog.count(*)::pg_catalog.float8 from ${table} where ${isPrimary} and not (${known})) as without,
       (pg_catalog.array_agg(pg_catalog.format('%s: %s rows', key, n) order by n desc, key))[1:10] as examples
      from (select row(${parts.join()})::text as key, pg_catalog.count(*) as n from ${table}
             where (${where}) and (${nullsAreEqual} or ${known})
             group by ${parts.join()} having pg_catalog.count(*) > 1) d`,
  );
  const found = rows[0] ?? { values: 0, rows: 0, without: 0, examples: null };
  return { table, name, ...found };
}

/** PostgreSQL tells what an index is about once it is there: it is made without UNIQUE, and taken back. */
function readIndexKey(session: Session, { sql, table, name }: AddedConstraint): Promise<Key> {
  return inSavepoint(
    session,
    async () => {
      await session.query(sql.replace(/^\s*create\s+unique\s/i, 'create '));
      const { rows } = await session.query<Key>(
        `select (select pg_catalog.json_agg(pg_catalog.pg_get_indexdef(i.indexrelid, n, true) order by n)
                   from pg_catalog.generate_series(1, i.indnkeyatts) n) as parts,
           coalesce(pg_catalog.pg_get_expr(i.indpred, i.indrelid), 'true') as where
          from pg_catalog.pg_index i join pg_catalog.pg_class c on c.oid = i.indexrelid
         where i.indrelid = $1::text::pg_catalog.regclass and c.relname = $2`,
        [table, name],
      );
      return rows[0] ?? { parts: [], where: 'false' };
    },
    () => false,
  );
}

function duplicates({ examples, ...left }: Duplicates, cause: unknown): AppError {
  const { table, name, values, rows, without } = left;
  const what = [
    ...(values > 0 ? [`${values} value(s) stand there more than once, in ${rows} rows`] : []),
    ...(without > 0 ? [`${without} row(s) have no value`] : []),
  ];
  return new AppError(
    'ROLLBACK_DUPLICATES',
    `${name} of ${table} cannot be there again: ${what.join(', and ')}. Change these rows and roll back again; or allow ROLLBACK_DUPLICATES with a reason, and it goes on without ${name}.`,
    { ...left, ...(examples === null ? {} : { detail: examples.join('\n') }) },
    { cause },
  );
}
