/** What differs in rows that differ, column by column. */

import { keyId, readByKeys } from './by-key.ts';
import { type Digest, type SideName, valueDigest, valueText } from './digest.ts';
import type { WatchedPair } from './identity.ts';
import type { Suspect } from './locate.ts';
import type { Pair, Prepared } from './prepare.ts';
import type { ReaderPair } from './readers.ts';
import type { Difference } from './request.ts';

/** Longer texts are cut: a difference is to be found, not kept. */
const longestText = 500;

interface RowValues {
  /** Of each column, null for null. */
  readonly digests: readonly (string | null)[];
  readonly texts: readonly (string | null)[];
}

/** To be called in the snapshot in which the suspects were found to differ. */
export async function describe(
  prepared: Prepared,
  digest: Digest,
  watched: WatchedPair,
  readers: ReaderPair,
  suspects: readonly Suspect[],
  values: 'shown' | 'redacted',
): Promise<Difference[]> {
  if (suspects.length === 0) return [];
  const keys = suspects.map(({ key }) => key);
  const read = (side: SideName): Promise<Map<string, RowValues>> =>
    readByKeys(
      readers[side],
      prepared,
      side,
      watched[side],
      keys,
      valuesSql(prepared.columns, digest, side, values),
    );
  const source = await read('source');
  const target = await read('target');
  return suspects.map(({ kind, key }) => {
    const [expected, found] = [source.get(keyId(key)), target.get(keyId(key))];
    const differing = prepared.columns.flatMap(({ name }, n) =>
      kind === 'changed' && expected?.digests[n] !== found?.digests[n] ? [{ name, n }] : [],
    );
    const told = kind === 'changed' ? differing : prepared.columns.map(({ name }, n) => ({ name, n }));
    const valuesOf = (row: RowValues) =>
      Object.fromEntries(told.map(({ name, n }) => [name, cut(row.texts[n])]));
    return {
      kind,
      key: keyValues(prepared.key, key),
      columns: differing.map(({ name }) => name),
      ...(expected === undefined || values === 'redacted' ? {} : { expected: valuesOf(expected) }),
      ...(found === undefined || values === 'redacted' ? {} : { found: valuesOf(found) }),
    };
  });
}

export const keyValues = (key: readonly Pair[], texts: readonly string[]): Record<string, string | null> =>
  Object.fromEntries(key.map(({ name }, n) => [name, texts[n] ?? null]));

function valuesSql(
  columns: readonly Pair[],
  digest: Digest,
  side: SideName,
  values: 'shown' | 'redacted',
): string {
  const digests = columns.map((pair) => valueDigest(digest, pair, side));
  const texts =
    values === 'shown'
      ? columns.map((pair) => `pg_catalog."left"(${valueText(pair, side)}, ${longestText + 1})`)
      : [];
  const list = (items: readonly string[]): string => `array[${items.join(', ')}]::pg_catalog.text[]`;
  return `pg_catalog.json_build_object('digests', ${list(digests)}, 'texts', ${list(texts)})`;
}

const cut = (text: string | null | undefined): string | null =>
  text === null || text === undefined || text.length <= longestText
    ? (text ?? null)
    : `${text.slice(0, longestText)}…`;
