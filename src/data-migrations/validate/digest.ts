/**
 * Digests of keys and rows: 64 bits each, computed where the rows are.
 *
 * A row's digest is seeded with its key's. Without that, the sum of the digests would not change when two rows swap
 * their values in a column: `hash_record_extended` combines columns linearly (`31 * h + column`), and sums of linear
 * combinations do not care in which row a summand stands. The digest of a key is seeded by chance, so that no pair of
 * rows is overlooked at every run: of two sums that differ in one row or in many, one in 2^64 comes out the same.
 */
import { randomBytes } from 'node:crypto';
import type { Session } from '../../db/session.ts';
import { canonicalText, hashForm, isWholeNumber } from './comparison.ts';
import type { Pair } from './prepare.ts';
import type { ReaderPair } from './readers.ts';
import type { Method } from './request.ts';

/** The keys of a table fall into so many buckets, by their digests. */
export const bucketCount = 1024;

export interface Digest {
  readonly method: Method;
  /** A number of 64 bits, as text. */
  readonly seed: string;
}

export type SideName = 'source' | 'target';

/** Chooses the quickest method that gives equal digests for equal values on both sides. */
export async function chooseDigest(readers: ReaderPair): Promise<Digest> {
  const seed = randomBytes(8).readBigInt64BE().toString();
  if (readers.source === readers.target) return { method: 'types', seed };
  const [source, target] = [await serverOf(readers.source), await serverOf(readers.target)];
  // Digests are made of the bytes of texts, and of whole words of the processor.
  if (source.encoding !== target.encoding || source.hashed !== target.hashed)
    return { method: 'text-sha256', seed };
  return { method: source.major === target.major ? 'types' : 'text', seed };
}

async function serverOf(session: Session): Promise<{ major: number; encoding: string; hashed: string }> {
  const { rows } = await session.query<{ major: number; encoding: string; hashed: string }>(
    `select pg_catalog.current_setting('server_version_num')::int4 / 10000 as major,
       pg_catalog.current_setting('server_encoding') as encoding,
       pg_catalog.hash_record_extended(row(
         true, 'switchback'::text collate pg_catalog."C", null::text, 1::int2, -2::int4, 3::oid, '2020-02-29'::date, 1.5::float4, -0.1::float8,
         '\\x00ff'::bytea, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid), 9007199254740993)::text as hashed`,
  );
  return rows[0] ?? { major: 0, encoding: '', hashed: '' };
}

/** SQL for the digest of a row's key. */
export function keyDigest({ method, seed }: Digest, key: readonly Pair[], side: SideName): string {
  const [only, ...more] = key;
  if (only !== undefined && more.length === 0 && isWholeNumber(only.comparison))
    return `(${only[side].sql}::pg_catalog.int8 # '${seed}'::pg_catalog.int8)`;
  return digest(method, forms(method, key, side), `'${seed}'::pg_catalog.int8`);
}

/** SQL for the digest of a row, without its key's columns, which seed it. */
export const rowDigest = (
  of: Digest,
  key: readonly Pair[],
  columns: readonly Pair[],
  side: SideName,
): string => digest(of.method, forms(of.method, columns, side), keyDigest(of, key, side));

/** SQL for the digest of one value; null for null. */
export const valueDigest = (of: Digest, pair: Pair, side: SideName): string =>
  `case when ${pair[side].sql} is not null then ${digest(of.method, forms(of.method, [pair], side), `'${of.seed}'::pg_catalog.int8`)}::text end`;

/** SQL for the text of a value. */
export const valueText = ({ comparison, ...sides }: Pair, side: SideName): string =>
  canonicalText(comparison, sides[side].sql);

const forms = (method: Method, pairs: readonly Pair[], side: SideName): string[] =>
  pairs.map(({ comparison, ...sides }) =>
    method === 'types'
      ? hashForm(comparison, sides[side].sql)
      : `(${canonicalText(comparison, sides[side].sql)}) collate pg_catalog."C"`,
  );

/** The constant makes a digest of rows that hold nothing but nulls, which hash to 0 under every seed. */
function digest(method: Method, values: readonly string[], seed: string): string {
  if (method !== 'text-sha256')
    return `pg_catalog.hash_record_extended(row(${['true', ...values].join(', ')}), ${seed})`;
  const bytes = `pg_catalog.convert_to(row(${[seed, ...values].join(', ')})::text, 'UTF8')`;
  return `('x' || pg_catalog."left"(pg_catalog.encode(pg_catalog.sha256(${bytes}), 'hex'), 16))::pg_catalog."bit"(64)::pg_catalog.int8`;
}
