/**
 * Triggers by which what is written to one table is written to another one. They take from the statement only which rows
 * it touched, and give the other table what the first one has of them by now: whatever further triggers have done, and in
 * which order, the row that is there at the end wins.
 *
 * A row that the other table refuses does not refuse the application's statement: its key is noted, and the note is looked
 * at before the tables are swapped.
 */
import { quoteIdentifier, quoteLiteral } from '../../db/quote.ts';
import type { Session } from '../../db/session.ts';
import { textSettings } from '../../vault/as-vault.ts';
import type { Table } from '../../vault/table.ts';
import { columnsSql } from '../expressions.ts';
import { hexOf, type MappedColumn } from './state.ts';
import { underCallersPath } from './transaction.ts';

/** `forth`: from the table to its shadow. `back`: from the shadow in the table's place to the old table. */
export type Direction = 'forth' | 'back';

export interface Mirror {
  readonly id: string;
  readonly direction: Direction;
  readonly from: Table;
  readonly to: Table;
  readonly key: readonly string[];
  readonly columns: readonly MappedColumn[];
}

type Named = Pick<Mirror, 'id' | 'direction'>;
const nameOf = (what: string, { id, direction }: Named): string =>
  `switchback.${quoteIdentifier(`${what}_${direction}_${hexOf(id)}`)}`;

/** The trigger function, the function for one row, which says why it is refused, and the notes. */
export const mirrorFunction = (mirror: Named): string => nameOf('mirror', mirror);
export const rowFunction = (mirror: Named): string => nameOf('row', mirror);
export const notesTable = (mirror: Named): string => nameOf('again', mirror);

/**
 * Along indexes, whatever the statistics say: a session keeps its plans, and the first one may have been made for a
 * statement that touched a million rows.
 */
const settings = `set search_path = pg_catalog ${textSettings} set enable_seqscan = off set enable_bitmapscan = off
  set enable_hashjoin = off set enable_mergejoin = off set jit = off`;

/** Locks the table that is mirrored against writes: what is written later is mirrored. In a transaction under our own search_path. */
export async function createMirror(session: Session, mirror: Mirror): Promise<void> {
  const reading = await readingOf(session, mirror);
  await session.query(`${notesSql(mirror)}; ${rowSql(mirror, reading)}; ${functionSql(mirror, reading)};
    revoke all on function ${rowFunction(mirror)}, ${mirrorFunction(mirror)}() from public;
    ${triggersSql(mirror)}`);
}

/** SQL that takes it away; no harm where there is none. */
export const dropMirrorSql = (mirror: Named): string[] => [
  `drop function if exists ${mirrorFunction(mirror)}() cascade`,
  `drop function if exists ${rowFunction(mirror)} cascade`,
  `drop table if exists ${notesTable(mirror)}`,
];

const keyName = (n: number): string => quoteIdentifier(` key ${n}`);

/**
 * A SELECT of the columns of `to`, and of the key of `from`, from all rows of `from`. As PostgreSQL prints it for a view, every
 * name in it is qualified, whatever search_path it was written for.
 */
async function readingOf(session: Session, mirror: Mirror): Promise<string> {
  const { from, columns } = mirror;
  const select = [
    ...columns.map(({ name, value }) => `${value} as ${quoteIdentifier(name)}`),
    ...mirror.key.map((name, n) => `${from.sql}.${quoteIdentifier(name)} as ${keyName(n)}`),
  ];
  const view = nameOf('reading', mirror);
  await underCallersPath(session, () =>
    session.query(`create view ${view} as select ${select.join(', ')} from only ${from.sql}`),
  );
  const { rows } = await session.query<{ text: string }>(
    `select rtrim(pg_get_viewdef(${quoteLiteral(view)}::regclass), ';') as text`,
  );
  await session.query(`drop view ${view}`);
  return rows[0]?.text ?? '';
}

const typeOf = (table: Table, name: string): string =>
  table.columns.find((column) => column.name === name)?.plainType ?? 'pg_catalog.text';

/** On aliases: the rows have one key. */
const sameKey = (key: readonly string[], one: string, other: (name: string, n: number) => string): string =>
  key.map((name, n) => `${one}.${quoteIdentifier(name)} = ${other(name, n)}`).join(' and ');

const ofAlias =
  (alias: string) =>
  (name: string): string =>
    `${alias}.${quoteIdentifier(name)}`;

function notesSql(mirror: Mirror): string {
  const notes = notesTable(mirror);
  return `create table ${notes} as select ${columnsSql(mirror.key)} from only ${mirror.from.sql} where false;
    alter table ${notes} add column " number" bigint generated always as identity primary key, add column " reason" text;
    revoke all on ${notes} from public`;
}

function writeSql({ to, key, columns }: Mirror, rows: string): string {
  const names = columns.map(({ name }) => name);
  const rest = names.filter((name) => !key.includes(name));
  const set = (rest.length > 0 ? rest : key).map(
    (name) => `${quoteIdentifier(name)} = excluded.${quoteIdentifier(name)}`,
  );
  return `insert into ${to.sql} (${columnsSql(names)}) overriding system value select ${names.map(ofAlias('r')).join(', ')} from ${rows}
      on conflict (${columnsSql(key)}) do update set ${set.join(', ')}`;
}

/** Conflicts with others, and what the server lacks, are the application's to try again. All else is about the row, or about the table. */
const isRefusal = `(sqlstate !~ '^(40|53|55|57|58|XX)' or (sqlstate = '40001' and " snapshot"))`;
const isSnapshot = `current_setting('transaction_isolation') not in ('read committed', 'read uncommitted')`;

/**
 * Gives `to` what `from` has of a row. The row is locked first, so that nobody changes it between reading and writing; of a
 * row that is gone, the other one is locked before it is looked at once more whether it is.
 */
function rowSql(mirror: Mirror, reading: string): string {
  const { from, to, key } = mirror;
  const parameter = (_: string, n: number): string => `$${n + 1}`;
  const types = key.map((name) => typeOf(from, name)).join(', ');
  const gone = sameKey(key, 't', (name, n) => `$${n + 1}::${typeOf(to, name)}`);
  const body = `declare " snapshot" boolean := ${isSnapshot};
    begin
      perform from only ${from.sql} f where ${sameKey(key, 'f', parameter)} for share;
      if found then
        ${writeSql(mirror, `(${reading}) r where ${key.map((_, n) => `r.${keyName(n)} = $${n + 1}`).join(' and ')}`)};
        return null;
      end if;
      begin
        perform from only ${to.sql} t where ${gone} for update;
        delete from only ${to.sql} t where ${gone} and not exists (select from only ${from.sql} f where ${sameKey(key, 'f', parameter)});
      exception when data_exception then
        -- A key that the other table cannot hold is not in it.
      end;
      return null;
    exception when others then
      if ${isRefusal} then return sqlerrm; end if;
      raise;
    end`;
  return `create function ${rowFunction(mirror)}(${types}) returns text language plpgsql ${settings} as ${quoteLiteral(body)}`;
}

/**
 * All rows of a statement at once; where that is refused, one by one. Under REPEATABLE READ a transaction does not see what a
 * batch has copied since it began: a row that it deletes, and does not find in the other table, is noted.
 */
function functionSql(mirror: Mirror, reading: string): string {
  const { from, to, key } = mirror;
  const keys = columnsSql(key);
  const notes = notesTable(mirror);
  const inFrom = `exists (select from only ${from.sql} f where ${sameKey(key, 'f', ofAlias('o'))})`;
  const one = (rows: string): string => `for " row" in ${rows} loop
        " reason" := ${rowFunction(mirror)}(${key.map((name) => `" row".${quoteIdentifier(name)}`).join(', ')});
        if " reason" is not null then insert into ${notes} (${keys}, " reason") values (${key.map((name) => `" row".${quoteIdentifier(name)}`).join(', ')}, " reason"); end if;
      end loop`;
  const body = `#variable_conflict use_column
    declare " snapshot" boolean := ${isSnapshot}; " count" bigint; " row" record; " reason" text;
    begin
      begin
        if tg_op = 'TRUNCATE' then
          truncate only ${to.sql};
          return null;
        end if;
        if tg_op <> 'INSERT' then
          delete from only ${to.sql} t using (select distinct ${keys} from " old") o
            where ${sameKey(key, 't', (name) => `o.${quoteIdentifier(name)}::${typeOf(to, name)}`)} and not ${inFrom};
          get diagnostics " count" = row_count;
          if " snapshot" and " count" < (select count(*) from (select distinct ${keys} from " old") o where not ${inFrom}) then
            insert into ${notes} (${keys}) select distinct ${keys} from " old";
          end if;
        end if;
        if tg_op <> 'DELETE' then
          ${writeSql(mirror, `(select distinct ${keys} from " new") n join (${reading}) r on ${key.map((name, n) => `r.${keyName(n)} = n.${quoteIdentifier(name)}`).join(' and ')}`)};
        end if;
        return null;
      exception when others then
        if tg_op = 'TRUNCATE' or not ${isRefusal} then raise; end if;
      end;
      if tg_op <> 'INSERT' then ${one(`select ${keys} from " old"`)}; end if;
      if tg_op <> 'DELETE' then ${one(`select ${keys} from " new"`)}; end if;
      return null;
    end`;
  return `create function ${mirrorFunction(mirror)}() returns trigger language plpgsql security definer ${settings} as ${quoteLiteral(body)}`;
}

/** `ENABLE ALWAYS`: rows that a subscription or a restore brings are mirrored, too. */
function triggersSql(mirror: Mirror): string {
  const of = { insert: ['new'], update: ['old', 'new'], delete: ['old'], truncate: [] };
  return Object.entries(of)
    .map(([event, tables]) => {
      const referencing = tables.map((table) => `${table} table as " ${table}"`).join(' ');
      const name = quoteIdentifier(`switchback_mirror_${event}`);
      return `create trigger ${name} after ${event} on ${mirror.from.sql} ${referencing === '' ? '' : `referencing ${referencing}`}
          for each statement execute function ${mirrorFunction(mirror)}();
        alter table ${mirror.from.sql} enable always trigger ${name}`;
    })
    .join(';\n');
}
