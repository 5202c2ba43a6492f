/** Rows that a module gives back go into another table. */
import type { Table } from '../../vault/table.ts';
import { onlyOf } from '../../vault/target.ts';
import type { KeyedSource, Transfer } from '../define-kind.ts';
import { columnsSql } from '../expressions.ts';
import { conflictSql, intoSql } from '../mapping.ts';
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
