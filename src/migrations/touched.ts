/** The tables that a plan does more with than read them. */
import { splitKey } from '../analysis/schema/schema.ts';
import { quoteIdentifier } from '../db/quote.ts';
import type { Session } from '../db/session.ts';
import type { RelationName } from '../sql/relations.ts';
import type { Plan } from './plan.ts';

export interface TouchedTables {
  /** Oids; of a partition and of an index, that of the table at the top. */
  readonly tables: readonly number[];
  /** Where it cannot be told which tables are touched: `20260101_x, line 3`. */
  readonly unknown: readonly string[];
}

const onlyReading: ReadonlySet<string> = new Set(['ACCESS SHARE', 'ROW SHARE']);
/** Rules that say of a statement that its tables are not known. */
const tellingNoTables: ReadonlySet<string> = new Set([
  'code-not-followed',
  'unparsable-statement',
  'drop-schema',
]);

/** As the database is now: what the plan itself makes is not there yet. */
export async function touchedBy(
  session: Session,
  { migrations, analysis }: Pick<Plan, 'migrations' | 'analysis'>,
): Promise<TouchedTables> {
  const analysed = analysis?.migrations ?? [];
  const locked = analysed.flatMap(({ statements }) => statements.flatMap(({ locks }) => locks));
  const names: RelationName[] = [
    ...migrations.flatMap(({ relations }) => relations),
    ...locked.filter(({ mode }) => !onlyReading.has(mode)).map(({ table }) => splitKey(table)),
  ];
  const unknown = analysed.flatMap(({ name, violations }) =>
    violations.filter(({ rule }) => tellingNoTables.has(rule)).map(({ line }) => `${name}, line ${line}`),
  );
  return { tables: await oidsOf(session, names), unknown };
}

/** Those that are there, each once. */
export async function oidsOf(session: Session, names: readonly RelationName[]): Promise<number[]> {
  const { rows } = await session.query<{ oid: number }>(
    `select distinct coalesce(pg_catalog.pg_partition_root(own.oid), own.oid)::pg_catalog.int8::pg_catalog.float8 as oid
       from pg_catalog.unnest($1::pg_catalog.text[]) as named (relation)
       join pg_catalog.pg_class c on c.oid = pg_catalog.to_regclass(named.relation)
       left join pg_catalog.pg_index i on i.indexrelid = c.oid
      cross join lateral (select coalesce(i.indrelid, c.oid)) as own (oid)`,
    [
      names.map(
        ({ schema, name }) => `${quoteIdentifier(schema ?? session.target.schema)}.${quoteIdentifier(name)}`,
      ),
    ],
  );
  return rows.map(({ oid }) => oid);
}
