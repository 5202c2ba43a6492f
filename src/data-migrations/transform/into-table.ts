/** Rows that a module gives back go into another table. */
import { quoteIdentifier, quoteLiteral } from '../../db/quote.ts';
import type { Table } from '../../vault/table.ts';
import { onlyOf } from '../../vault/target.ts';
import type { Remake } from '../compare-remade.ts';
import type { KeyedSource, Transfer } from '../define-kind.ts';
import { columnsSql } from '../expressions.ts';
import { conflictSql, intoSql } from '../mapping.ts';
import { rollBack } from '../place.ts';
import { faultsOf } from './faults-of.ts';
import type { Transformer } from './request.ts';

export interface IntoTable {
  readonly source: KeyedSource;
  /** Columns that the module is given. */
  readonly input: readonly string[];
  readonly written: Table;
  /** Columns that are written. */
  readonly output: readonly string[];
  readonly onConflict: 'fail' | 'skip' | 'update';
}

/** With nothing in between where a conflict is a fault, else by way of a temporary table: COPY itself knows no conflicts. */
export function intoTable(
  { source, input, written, output, onConflict }: IntoTable,
  transformer: Transformer,
): Transfer {
  const names = columnsSql(output);
  const direct = onConflict === 'fail';
  const staging = `pg_temp.batch_${written.oid}`;
  return async ({ read, write, rows, order, name, tolerated, signal }) => {
    if (!direct)
      await write.query(
        `create temporary table if not exists batch_${written.oid} on commit delete rows as select ${names} from ${written.sql} with no data`,
      );
    const outcome = await transformer.run({
      ...{ name, tolerated, signal, source: read, target: write },
      read: `copy (select ${columnsSql(input)} from ${onlyOf(source.table)} where ${rows} order by ${order}) to stdout`,
      write: `copy ${direct ? written.sql : staging} (${names}) from stdin`,
    });
    const changed = direct
      ? outcome.written
      : (
          await write.query(
            `insert into ${intoSql(written, output)} select * from ${staging} ${conflictSql(written, { names: output }, onConflict)}`,
          )
        ).rowCount;
    return { changed, faults: faultsOf(outcome) };
  };
}

/** As many rows as are asked for may be at fault by now: they are then none that the module makes. */
const anyNumber = Number.MAX_SAFE_INTEGER;

/** Makes rows once more, in a temporary table: there they take the types that they have in theirs. */
export const remakeRows =
  ({ source, input, written, output }: IntoTable, transformer: Transformer): Remake =>
  async ({ read, write, signal }, rows) => {
    const names = columnsSql(output);
    const remade = `pg_temp.remade_${written.oid}`;
    await write.query('begin');
    try {
      await write.query(
        `create temporary table remade_${written.oid} on commit drop as select ${names} from ${written.sql} with no data`,
      );
      await transformer.run({
        ...{ name: 'the sample', tolerated: anyNumber, signal, source: read, target: write },
        read: `copy (select ${columnsSql(input)} from ${onlyOf(source.table)} where ${rows}) to stdout`,
        write: `copy ${remade} (${names}) from stdin`,
      });
      // As the sessions that compare print values.
      await write.query("set local search_path = pg_catalog; set local lc_monetary = 'C'");
      const texts = output.map((name) => `${quoteIdentifier(name)}::pg_catalog.text`);
      const { rows: made } = await write.query<{ row: Record<string, string | null> }>(
        `select pg_catalog.json_object(array[${output.map(quoteLiteral).join(', ')}]::text[], array[${texts.join(', ')}]::text[]) as row from ${remade}`,
      );
      return made.map(({ row }) => row);
    } finally {
      await rollBack(write);
    }
  };
