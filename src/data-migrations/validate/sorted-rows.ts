import type { Session } from '../../db/session.ts';
import { bucketCount, type Digest, keyDigest, rowDigest, type SideName, valueText } from './digest.ts';
import type { Prepared } from './prepare.ts';

export interface DigestedRow {
  /** Digest of the key, by which both sides are sorted. */
  readonly order: bigint;
  /** Texts of the key's columns. */
  readonly key: readonly string[];
  readonly digest: string;
}

const rowsAtOnce = 2_000;

/** The rows of some buckets of one side, sorted by the server, a few at a time. The session is in a transaction. */
export class SortedRows {
  readonly #session: Session;
  readonly #cursor: string;
  #rows: DigestedRow[] = [];
  #next = 0;
  #ended = false;

  private constructor(session: Session, cursor: string) {
    this.#session = session;
    this.#cursor = cursor;
  }

  static async open(
    session: Session,
    prepared: Prepared,
    digest: Digest,
    side: SideName,
    buckets: readonly number[],
  ): Promise<SortedRows> {
    const cursor = `rows_of_${side}`;
    await session.query(
      `declare ${cursor} no scroll cursor for ${sortedSql(prepared, digest, side, buckets)}`,
    );
    return new SortedRows(session, cursor);
  }

  /** The first row that was not taken; null at the end. A promise only where the server has to be asked. */
  head(): DigestedRow | null | Promise<DigestedRow | null> {
    return this.#rows[this.#next] ?? (this.#ended ? null : this.#fetch());
  }

  take(): void {
    this.#next += 1;
  }

  async #fetch(): Promise<DigestedRow | null> {
    const { rows } = await this.#session.query<{ order: string; key: string[]; digest: string }>(
      `fetch ${rowsAtOnce} from ${this.#cursor}`,
    );
    this.#rows = rows.map(({ order, ...row }) => ({ ...row, order: BigInt(order) }));
    this.#next = 0;
    this.#ended = rows.length === 0;
    return this.#rows[0] ?? null;
  }
}

/** Rows of other buckets are left out before their digests are made. */
function sortedSql(
  { key, columns, ...sides }: Prepared,
  digest: Digest,
  side: SideName,
  buckets: readonly number[],
): string {
  const { table, where } = sides[side];
  const order = keyDigest(digest, key, side);
  const texts = key.map((pair) => valueText(pair, side)).join(', ');
  const condition =
    buckets.length === bucketCount
      ? 'true'
      : `(${order} & ${bucketCount - 1})::int4 = any ('{${buckets.join()}}'::int4[])`;
  return `select ${order}::text as "order", array[${texts}] as key, ${rowDigest(digest, key, columns, side)}::text as digest
    from ${table.sql} where ${condition} and ${where} order by ${order}, array[${texts}] collate pg_catalog."C"`;
}

/** Below zero where `a` comes before `b` in the servers' order. */
export function compareRows(a: DigestedRow, b: DigestedRow): number {
  if (a.order !== b.order) return a.order < b.order ? -1 : 1;
  // Almost never: two keys with one digest.
  const [left, right] = [Buffer.from(JSON.stringify(a.key)), Buffer.from(JSON.stringify(b.key))];
  return a.key.every((text, n) => text === b.key[n]) ? 0 : Buffer.compare(left, right);
}
