/** Compares a sample of rows by code: for what a transform in JavaScript made, which no SQL expression can tell. */
import { quoteIdentifier, quoteLiteral } from '../../db/quote.ts';
import { loadParser } from '../../sql/parse.ts';
import { keyId, readByKeys } from './by-key.ts';
import { keyValues } from './describe.ts';
import { chooseDigest, keyDigest, type SideName, valueText } from './digest.ts';
import { unchanged, type WatchedPair, watch } from './identity.ts';
import { type Prepared, prepare } from './prepare.ts';
import { pause, Readers } from './readers.ts';
import type { Mapping } from './request.ts';

/** All columns of a row as texts, as `ValidationOutcome` has them. */
export type SampledRow = Readonly<Record<string, string | null>>;

export interface SampledPair {
  readonly source: SampledRow;
  /** Null where the target has no row of that key. */
  readonly target: SampledRow | null;
}

/** Says of each pair what is wrong with the target's row, or null where it is as the source's row wants it. */
export type CompareRows = (pairs: readonly SampledPair[]) => Promise<readonly (string | null)[]>;

export interface SampleRequest extends Mapping {
  /** At most so many rows, each of the source's with the same chance. */
  readonly rows: number;
  /** Before rows that are wrong are compared again, in milliseconds. */
  readonly pauseMs: number;
}

export interface SampleOutcome {
  readonly compared: number;
  /** Rows that were wrong twice. */
  readonly wrong: readonly { readonly key: SampledRow; readonly reason: string }[];
}

const keysAtOnce = 500;

/**
 * Takes a sample of the source's rows and compares each with the target's row of its key. The key has to be in both;
 * `columns` says only what the key comes from.
 * @throws AppError as `validate` does; what `compare` throws
 */
export async function compareSample(
  { rows, pauseMs, ...mapping }: SampleRequest,
  { applicationName, signal }: { readonly applicationName: string; readonly signal: AbortSignal },
  compare: CompareRows,
): Promise<SampleOutcome> {
  await loadParser();
  const readers = await Readers.open(mapping, { applicationName, signal }, 1);
  try {
    const prepared = await prepare({ ...mapping, columns: mapping.columns ?? {} }, readers.pair);
    const wrongOf = (keys: readonly (readonly string[])[], watched: WatchedPair) =>
      compareKeys(prepared, readers, watched, keys, signal, compare);
    const first = await readers.inSnapshot(async () => {
      const watched = await watch(prepared, readers.pair);
      const keys = await sampleKeys(prepared, readers, watched, rows);
      return { compared: keys.length, wrong: await wrongOf(keys, watched) };
    });
    if (first.wrong.length === 0) return { compared: first.compared, wrong: [] };
    await pause(pauseMs, signal);
    const again = await readers.inSnapshot(async () =>
      wrongOf(
        first.wrong.map(({ key }) => key),
        await watch(prepared, readers.pair),
      ),
    );
    return {
      compared: first.compared,
      wrong: again.map(({ key, reason }) => ({ key: keyValues(prepared.key, key), reason })),
    };
  } finally {
    await readers.close();
  }
}

/** Keys whose digests, seeded by chance, are the lowest. */
async function sampleKeys(
  prepared: Prepared,
  readers: Readers,
  watched: WatchedPair,
  count: number,
): Promise<string[][]> {
  const session = readers.pair.source;
  const { table, where } = prepared.source;
  const digest = await chooseDigest(readers.pair);
  // The digest of one whole number is that number, which would prefer neighbours.
  const order = `pg_catalog.hashtextextended(${keyDigest(digest, prepared.key, 'source')}::pg_catalog.text, 0)`;
  const { rows } = await unchanged(session, watched.source, () =>
    session.query<{ key: string[] }>(
      `select array[${prepared.key.map((pair) => valueText(pair, 'source')).join(', ')}] as key
         from ${table.sql} where ${where} order by ${order} limit $1`,
      [count],
    ),
  );
  return rows.map(({ key }) => key);
}

async function compareKeys(
  prepared: Prepared,
  readers: Readers,
  watched: WatchedPair,
  keys: readonly (readonly string[])[],
  signal: AbortSignal,
  compare: CompareRows,
): Promise<{ key: readonly string[]; reason: string }[]> {
  const wrong: { key: readonly string[]; reason: string }[] = [];
  for (let at = 0; at < keys.length; at += keysAtOnce) {
    signal.throwIfAborted();
    const some = keys.slice(at, at + keysAtOnce);
    const read = (side: SideName): Promise<Map<string, SampledRow>> =>
      readByKeys(readers.pair[side], prepared, side, watched[side], some, wholeRow(prepared, side));
    const source = await read('source');
    const target = await read('target');
    // A row that was deleted since has nothing to be compared with.
    const pairs = some.flatMap((key) => {
      const row = source.get(keyId(key));
      return row === undefined ? [] : [{ key, source: row, target: target.get(keyId(key)) ?? null }];
    });
    const reasons = await compare(pairs);
    for (const [n, { key }] of pairs.entries()) {
      const reason = reasons[n] ?? null;
      if (reason !== null) wrong.push({ key, reason });
    }
  }
  return wrong;
}

function wholeRow(prepared: Prepared, side: SideName): string {
  const names = prepared[side].table.columns.map(({ name }) => name);
  const texts = names.map((name) => `${quoteIdentifier(name)}::pg_catalog.text`);
  return `pg_catalog.json_object(array[${names.map(quoteLiteral).join(', ')}]::text[], array[${texts.join(', ')}]::text[])`;
}
