/** What is in the tables: a checksum of their rows, whatever the order of the rows and of the columns. */
import { qualify, quoteIdentifier } from '../db/quote.ts';
import type { Session } from '../db/session.ts';
import { withPrinting } from './settings.ts';

export interface TableContent {
  readonly rows: number;
  /** Of all rows and all columns, generated ones too. Two tables with the same rows have the same. */
  readonly checksum: string;
}

export interface TableName {
  readonly schema: string;
  readonly name: string;
}

/**
 * Reads each table once, to its end. Without a list all tables of users that hold rows themselves: partitions, not
 * partitioned tables; not Prisma's history, nor ours. For one moment of all tables, call it in a `repeatable read`
 * transaction.
 * @returns by `schema.name`
 * @throws AppError `PERMISSION_DENIED`, `LOCK_TIMEOUT`
 */
export async function readContent(
  session: Session,
  tables?: readonly TableName[],
): Promise<Map<string, TableContent>> {
  const columns = await readColumns(session, tables);
  return await withPrinting(session, async () => {
    const contents = new Map<string, TableContent>();
    for (const { schema, name, columnNames } of columns) {
      const { rows } = await session.query<{ rows: string; checksum: string }>(
        contentSql({ schema, name }, columnNames),
      );
      const [{ rows: count, checksum } = { rows: '0', checksum: '' }] = rows;
      contents.set(`${schema}.${name}`, { rows: Number(count), checksum });
    }
    return contents;
  });
}

/**
 * Text of a record: columns by name, NULL apart from the empty text. Two hashes of each row are added up, since a sum
 * knows no order and counts twins; one of 64 bits alone could be met by chance.
 */
function contentSql(table: TableName, columns: readonly string[]): string {
  const row = columns.length === 0 ? "''" : `row(${columns.map(quoteIdentifier).join(', ')})::text`;
  const sum = (seed: number): string =>
    `coalesce(pg_catalog.sum(pg_catalog.hashtextextended(r.t, ${seed})), 0)`;
  return `select pg_catalog.count(*) as rows, ${sum(0)} || '/' || ${sum(1)} as checksum
    from (select ${row} as t from only ${qualify(table.schema, table.name)}) r`;
}

interface TableColumns extends TableName {
  readonly columnNames: readonly string[];
}

async function readColumns(session: Session, tables?: readonly TableName[]): Promise<TableColumns[]> {
  const { rows } = await session.query<TableColumns>(
    `select n.nspname as schema, c.relname as name,
            array(select a.attname::text from pg_catalog.pg_attribute a
                   where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
                   order by a.attname collate "C") as "columnNames"
       from pg_catalog.pg_class c
       join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where c.relkind in ('r', 'm') and c.relispopulated and n.nspname !~ '^pg_'
        and case when $1::text[] is null
                 then c.relkind = 'r' and c.relname <> '_prisma_migrations' and n.nspname !~ '^switchback_vault'
                      and n.nspname not in ('information_schema', 'switchback')
                      and not exists (select from pg_catalog.pg_depend d
                                       where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = c.oid and d.deptype = 'e')
                 else (n.nspname, c.relname) in (select x.schema, x.name
                        from rows from (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::text[])) x(schema, name)) end
      order by n.nspname, c.relname`,
    [tables?.map(({ schema }) => schema) ?? null, tables?.map(({ name }) => name) ?? null],
  );
  return rows;
}
