/**
 * Compares two tables in full: every row, every mapped column.
 *
 * Each side is read in physical order, while the server adds up the digests of its rows; only sums travel. Where they
 * differ they are made anew for each bucket of keys. Rows of buckets that differ are sorted by the servers and merged here. Rows that differ are compared again
 * after a pause. Nothing is written, and no lock is held for longer than one part of the work.
 */
import { loadParser } from '../../sql/parse.ts';
import { compareAgain } from './again.ts';
import { differing, readChecksums } from './checksums.ts';
import { keyValues } from './describe.ts';
import { bucketCount, chooseDigest } from './digest.ts';
import { watch } from './identity.ts';
import { type Located, locate } from './locate.ts';
import { prepare } from './prepare.ts';
import { Readers } from './readers.ts';
import type { PhaseProgress, ValidationContext, ValidationOutcome, ValidationRequest } from './request.ts';

/**
 * @throws AppError `TABLE_NOT_FOUND`, `MAPPING_INVALID`, `KEY_UNUSABLE`, `TYPES_NOT_COMPARABLE`, `TABLE_CHANGED`,
 * `DATABASE_UNREACHABLE`, `PERMISSION_DENIED`, `STATEMENT_FAILED`; the signal's reason
 */
export async function validate(
  request: ValidationRequest,
  context: ValidationContext,
): Promise<ValidationOutcome> {
  await loadParser();
  const readers = await Readers.open(request, context, request.parallelism);
  try {
    return await compare(request, context, readers);
  } finally {
    await readers.close();
  }
}

const none: Located = { counts: { missing: 0, extra: 0, changed: 0 }, suspects: [] };

async function compare(
  request: ValidationRequest,
  { signal, phase }: ValidationContext,
  readers: Readers,
): Promise<ValidationOutcome> {
  const prepared = await phase('prepare', () => prepare(request, readers.pair));
  const digest = await chooseDigest(readers.pair);
  const { checksums, buckets, located } = await readers.inSnapshot(async () => {
    const watched = await watch(prepared, readers.pair);
    const read = (buckets: number, progress: (report: PhaseProgress) => void) =>
      readChecksums(prepared, digest, watched, readers, { buckets, signal, progress });
    // In one snapshot tables are mostly the same, and their sums tell it quickest. Between two something always moves.
    const first = await phase('compare', (progress) => read(readers.together ? 1 : bucketCount, progress));
    return phase('locate', async (progress) => {
      if (differing(first.source, first.target).length === 0)
        return { checksums: first, buckets: [], located: none };
      const checksums = first.source.counts.length > 1 ? first : await read(bucketCount, progress);
      const buckets = differing(checksums.source, checksums.target);
      const { extraRows } = request;
      const rows = [checksums.source, checksums.target]
        .flatMap(({ counts }) => buckets.map((n) => counts[n] ?? 0))
        .reduce((sum, count) => sum + count, 0);
      const options = { buckets, rows, extraRows, signal, progress };
      return { checksums, buckets, located: await locate(prepared, digest, watched, readers, options) };
    });
  });
  const judged = await phase('compareAgain', (progress) =>
    compareAgain(prepared, digest, readers, located.suspects, { ...request, signal, progress }),
  );
  const once = { ...located.counts };
  for (const { kind } of located.suspects) once[kind] -= 1;
  const comparedOnce = once.missing + once.extra + once.changed;
  const { confirmed, moving, settled, listed } = judged;
  const total = confirmed.missing + confirmed.extra + confirmed.changed + comparedOnce;
  return {
    same: total === 0,
    method: digest.method,
    rows: { source: checksums.source.rows, target: checksums.target.rows },
    key: prepared.key.map(({ name }) => name),
    columns: prepared.columns.map(({ name }) => name),
    notCompared: prepared.notCompared,
    buckets: { compared: checksums.source.counts.length, differing: buckets.length },
    differences: {
      total,
      missing: confirmed.missing + once.missing,
      extra: confirmed.extra + once.extra,
      changed: confirmed.changed + once.changed,
      comparedOnce,
      listed,
    },
    moving: {
      total: moving.length,
      listed: moving.slice(0, request.listed).map(({ key }) => keyValues(prepared.key, key)),
    },
    settled,
  };
}
