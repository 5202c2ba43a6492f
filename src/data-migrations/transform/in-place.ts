/**
 * Rows that a module gives back take the place of those that it was given. While the module has them they are not locked;
 * `xmin` tells which of them somebody else has changed meanwhile: those are left, and read again.
 */
import { quoteIdentifier } from '../../db/quote.ts';
import type { Session } from '../../db/session.ts';
import { onlyOf } from '../../vault/target.ts';
import type { KeyedSource, RowAtFault, Transfer, TransferBatch } from '../define-kind.ts';
import { columnsSql } from '../expressions.ts';
import { type KeyValues, keyListSql, keyTextsSql, sameKeySql } from '../keys.ts';
import { faultsOf } from './faults-of.ts';
import type { Transformer } from './request.ts';

/** A name that no column of a table has. */
export const versionColumn = ' version';

export interface InPlace {
  readonly source: KeyedSource;
  /** Columns that the module is given; the key is among them. */
  readonly input: readonly string[];
  /** Columns that are written; none of the key. */
  readonly output: readonly string[];
}

/** After so many times the rows that are left are locked before they are read. */
const unlockedTries = 3;

export const inputSql = ({ source, input }: Pick<InPlace, 'source' | 'input'>): string =>
  `${columnsSql(input)}, ${source.table.sql}.xmin::pg_catalog.text as ${quoteIdentifier(versionColumn)}`;

/** Of the temporary table, in its order. */
const stagedColumns = ({ source: { key }, output }: Pick<InPlace, 'source' | 'output'>): string[] => [
  ...key.columns.map(({ name }) => name),
  ...output,
  versionColumn,
];

export const stagedSql = (place: InPlace): string => {
  const { key, table } = place.source;
  const own = columnsSql([...key.columns.map(({ name }) => name), ...place.output]);
  return `select ${own}, ''::pg_catalog.text as ${quoteIdentifier(versionColumn)} from ${onlyOf(table)}`;
};

export const inPlace =
  (place: InPlace, transformer: Transformer): Transfer =>
  async (batch) => {
    const { table } = place.source;
    await batch.write.query(
      `create temporary table if not exists batch_${table.oid} on commit delete rows as ${stagedSql(place)} with no data`,
    );
    // A session that both reads and writes has nobody beside it that could wait for it: it locks at once.
    let locking = batch.read === batch.write;
    let { left, changed, faults } = await pass(place, transformer, batch, batch.rows, locking);
    for (let tries = 1; left.length > 0; tries += 1) {
      locking ||= tries >= unlockedTries;
      const rows = `${batch.rows} and ${keyListSql(place.source.key, table.sql, left)}`;
      const tolerated = batch.tolerated - faults.length;
      const again = await pass(place, transformer, { ...batch, tolerated }, rows, locking);
      left = again.left;
      changed += again.changed;
      faults = [...faults, ...again.faults];
    }
    return { changed, faults };
  };

interface Pass {
  readonly changed: number;
  readonly faults: readonly RowAtFault[];
  /** Keys of rows that somebody else has changed since they were read. */
  readonly left: readonly KeyValues[];
}

async function pass(
  place: InPlace,
  transformer: Transformer,
  { read, write, order, name, tolerated, signal }: TransferBatch,
  rows: string,
  locking: boolean,
): Promise<Pass> {
  const { table, key } = place.source;
  const staging = `pg_temp.batch_${table.oid}`;
  await write.query(`truncate ${staging}`);
  const outcome = await transformer.run({
    ...{ name, tolerated, signal, source: locking ? write : read, target: write },
    read: `copy (select ${inputSql(place)} from ${onlyOf(table)} where ${rows} order by ${order}${locking ? ' for update' : ''}) to stdout`,
    write: `copy ${staging} (${columnsSql(stagedColumns(place))}) from stdin`,
  });
  const set = place.output.map(
    (column) => `${quoteIdentifier(column)} = " given".${quoteIdentifier(column)}`,
  );
  const { rowCount } = await write.query(
    `update ${onlyOf(table)} set ${set.join(', ')} from ${staging} as " given"
      where ${sameKeySql(key, '" given"', table.sql)} and ${table.sql}.xmin::pg_catalog.text = " given".${quoteIdentifier(versionColumn)}`,
  );
  const left = rowCount === outcome.written ? [] : await changedMeanwhile(write, place, staging);
  return { changed: rowCount, faults: faultsOf(outcome), left };
}

/** Rows with another version that is not this transaction's. Those that are gone, or that a trigger left alone, are none. */
async function changedMeanwhile(
  session: Session,
  { source: { table, key } }: InPlace,
  staging: string,
): Promise<KeyValues[]> {
  const { rows } = await session.query<{ key: string[] }>(
    `select ${keyTextsSql(key, '" given"')} as key from ${staging} as " given" join ${onlyOf(table)} on ${sameKeySql(key, '" given"', table.sql)}
      where ${table.sql}.xmin::pg_catalog.text not in (" given".${quoteIdentifier(versionColumn)}, (pg_catalog.txid_current() & 4294967295)::pg_catalog.text)`,
  );
  return rows.map((row) => row.key);
}
