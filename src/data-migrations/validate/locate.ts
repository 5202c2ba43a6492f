/** Finds the rows that differ, in the buckets that do: both sides' digests, sorted by the servers, merged here. */
import type { Digest } from './digest.ts';
import { unchanged, type WatchedPair } from './identity.ts';
import type { Prepared } from './prepare.ts';
import type { Readers } from './readers.ts';
import type { DifferenceKind, PhaseProgress } from './request.ts';
import { compareRows, type DigestedRow, SortedRows } from './sorted-rows.ts';

/** A row that differs. */
export interface Suspect {
  readonly kind: DifferenceKind;
  /** Texts of the key's columns. */
  readonly key: readonly string[];
  /** Digest of each side's row, or null where there is none. */
  readonly source: string | null;
  readonly target: string | null;
}

export interface Located {
  readonly counts: Record<DifferenceKind, number>;
  /** As many as are compared again. */
  readonly suspects: readonly Suspect[];
}

export interface LocateOptions {
  readonly buckets: readonly number[];
  /** How many rows these buckets have, of both sides. */
  readonly rows: number;
  readonly extraRows: 'refused' | 'allowed';
  readonly signal: AbortSignal;
  readonly progress: (report: PhaseProgress) => void;
}

/** More would take too much memory. */
const maxSuspects = 50_000;
const tellEvery = 10_000;

/** @throws AppError `TABLE_CHANGED` */
export async function locate(
  prepared: Prepared,
  digest: Digest,
  watched: WatchedPair,
  readers: Readers,
  { buckets, rows, extraRows, signal, progress }: LocateOptions,
): Promise<Located> {
  const { source, target } = readers.pair;
  const counts = { missing: 0, extra: 0, changed: 0 };
  const suspects: Suspect[] = [];
  const merge = async (): Promise<void> => {
    const left = await SortedRows.open(source, prepared, digest, 'source', buckets);
    const right = await SortedRows.open(target, prepared, digest, 'target', buckets);
    for (let done = 0; ; done += 1) {
      if (done % tellEvery === 0) {
        signal.throwIfAborted();
        progress({ done: Math.min(done * 2, rows), total: rows, unit: 'rows' });
      }
      const [a, b] = [left.head(), right.head()];
      const suspect = next(
        left,
        right,
        a instanceof Promise ? await a : a,
        b instanceof Promise ? await b : b,
      );
      if (suspect === 'end') return;
      if (suspect === null || (suspect.kind === 'extra' && extraRows === 'allowed')) continue;
      counts[suspect.kind] += 1;
      if (suspects.length < maxSuspects) suspects.push(suspect);
    }
  };
  await unchanged(source, watched.source, () => unchanged(target, watched.target, merge));
  return { counts, suspects };
}

/** Takes one key from the side, or sides, that have it; null where both do and their rows are the same. */
function next(
  left: SortedRows,
  right: SortedRows,
  source: DigestedRow | null,
  target: DigestedRow | null,
): Suspect | null | 'end' {
  const order = source === null || target === null ? 0 : compareRows(source, target);
  if (source !== null && (target === null || order < 0)) {
    left.take();
    return { kind: 'missing', key: source.key, source: source.digest, target: null };
  }
  if (target !== null && (source === null || order > 0)) {
    right.take();
    return { kind: 'extra', key: target.key, source: null, target: target.digest };
  }
  if (source === null || target === null) return 'end';
  left.take();
  right.take();
  if (source.digest === target.digest) return null;
  return { kind: 'changed', key: source.key, source: source.digest, target: target.digest };
}
