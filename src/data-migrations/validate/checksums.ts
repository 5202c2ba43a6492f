/** Reads both tables once, in physical order, and adds up the digests of their rows: all together, or in buckets of keys. */
import type { Session } from '../../db/session.ts';
import { bucketCount, type Digest, keyDigest, rowDigest, type SideName } from './digest.ts';
import { unchanged, type Watched, type WatchedPair } from './identity.ts';
import type { Prepared } from './prepare.ts';
import type { Readers } from './readers.ts';
import type { PhaseProgress } from './request.ts';

/** Of each bucket of one side's keys: how many rows, and the sum of their digests. */
export interface Checksums {
  readonly counts: Float64Array;
  readonly sums: BigInt64Array;
  rows: number;
}

/** So much of a table is read by one statement: some seconds' work on a slow disk. 64 MiB. */
const partPages = 8192;

interface Part {
  readonly side: SideName;
  /** A condition for SQL. */
  readonly condition: string;
}

/**
 * @param buckets 1, or `bucketCount`, which costs the servers about a quarter more
 * @throws AppError `TABLE_CHANGED`
 */
export async function readChecksums(
  prepared: Prepared,
  digest: Digest,
  watched: WatchedPair,
  readers: Readers,
  {
    buckets,
    signal,
    progress,
  }: {
    readonly buckets: number;
    readonly signal: AbortSignal;
    readonly progress: (report: PhaseProgress) => void;
  },
): Promise<Record<SideName, Checksums>> {
  const result = { source: empty(buckets), target: empty(buckets) };
  const parts = [
    ...(await partsOf('source', prepared, readers.pair.source)),
    ...(await partsOf('target', prepared, readers.pair.target)),
  ];
  const total = parts.length;
  let left = parts;
  const work = async (session: Session, sides: readonly SideName[]): Promise<void> => {
    try {
      for (let part = left.find(({ side }) => sides.includes(side)); part !== undefined; ) {
        left = left.filter((other) => other !== part);
        signal.throwIfAborted();
        await readPart(session, prepared, digest, watched[part.side], part, result[part.side]);
        report();
        part = left.find(({ side }) => sides.includes(side));
      }
    } catch (error) {
      left = [];
      throw error;
    }
  };
  let done = 0;
  const report = (): void => {
    done += 1;
    const { source, target } = result;
    progress({
      done,
      total,
      unit: 'parts',
      message: `${source.rows} rows of the source, ${target.rows} of the target`,
    });
  };
  await Promise.all(
    readers.together
      ? readers.source.map((session) => work(session, ['source', 'target']))
      : [
          ...readers.source.map((session) => work(session, ['source'])),
          ...readers.target.map((session) => work(session, ['target'])),
        ],
  );
  return result;
}

/** Of a bucket, sums are kept by their lowest 64 bits. */
const empty = (buckets: number): Checksums => ({
  counts: new Float64Array(buckets),
  sums: new BigInt64Array(buckets),
  rows: 0,
});

/**
 * Cuts a table by the pages of its file: rows that the snapshot sees stay where they are as long as the file does.
 * Of a partitioned table each part takes the same pages of every partition. Foreign tables have no pages.
 */
async function partsOf(side: SideName, prepared: Prepared, session: Session): Promise<Part[]> {
  const { table } = prepared[side];
  const { rows } = await session.query<{ pages: number; tables: number; paged: boolean }>(
    `with recursive tree(oid) as (
       select $1::oid union select i.inhrelid from tree join pg_catalog.pg_inherits i on i.inhparent = tree.oid
     )
     select coalesce(max(pg_catalog.pg_relation_size(c.oid) / pg_catalog.current_setting('block_size')::int8), 0)::float8 as pages,
       greatest(count(*) filter (where c.relkind <> 'p'), 1)::float8 as tables, bool_and(c.relkind in ('r', 'p', 'm')) as paged
       from tree join pg_catalog.pg_class c on c.oid = tree.oid`,
    [table.oid],
  );
  const { pages = 0, tables = 1, paged = false } = rows[0] ?? {};
  const step = Math.max(64, Math.floor(partPages / tables));
  if (!paged || pages <= step) return [{ side, condition: 'true' }];
  const parts: Part[] = [];
  for (let from = 0; from < pages; from += step)
    parts.push({ side, condition: `ctid >= '(${from},0)' and ctid < '(${from + step},0)'` });
  return parts;
}

async function readPart(
  session: Session,
  prepared: Prepared,
  digest: Digest,
  watched: Watched,
  { side, condition }: Part,
  into: Checksums,
): Promise<void> {
  const { table, where } = prepared[side];
  const bucket = `(${keyDigest(digest, prepared.key, side)} & ${bucketCount - 1})::int4`;
  const inBuckets = into.counts.length > 1;
  const sql = `select ${inBuckets ? bucket : '0'} as bucket, count(*)::float8 as count,
      coalesce(sum(${rowDigest(digest, prepared.key, prepared.columns, side)}), 0)::text as sum
    from ${table.sql} where ${condition} and ${where} ${inBuckets ? 'group by 1' : ''}`;
  const { rows } = await unchanged(session, watched, () =>
    session.query<{ bucket: number; count: number; sum: string }>(sql),
  );
  for (const { bucket, count, sum } of rows) {
    into.counts[bucket] = (into.counts[bucket] ?? 0) + count;
    into.sums[bucket] = BigInt.asIntN(64, (into.sums[bucket] ?? 0n) + BigInt(sum));
    into.rows += count;
  }
}

/** The buckets in which the two sides differ. */
export const differing = (source: Checksums, target: Checksums): number[] =>
  Array.from(source.counts.keys()).filter(
    (n) => source.counts[n] !== target.counts[n] || source.sums[n] !== target.sums[n],
  );
