/**
 * Compares two tables in full: every row, every mapped column.
 *
 * Each side is read once, in physical order, while the server adds up the digests of its rows in buckets of keys; only
 * sums travel. Rows of buckets that differ are sorted by the servers and merged here. Rows that differ are compared again
 * after a pause. Nothing is written, and no lock is held for longer than one part of the work.
 */
import { loadParser } from '../../sql/parse.ts';
import { compareAgain } from './again.ts';
import { differing, readChecksums } from './checksums.ts';
import { keyValues } from './describe.ts';
import { bucketCount, chooseDigest } from './digest.ts';
import { watch } from './identity.ts';
import { locate } from './locate.ts';
import { prepare } from './prepare.ts';
import { Readers } from './readers.ts';
import type { ValidationContext, ValidationOutcome, ValidationRequest } from './request.ts';

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

async function compare(
  request: ValidationRequest,
  { signal, phase }: ValidationContext,
  readers: Readers,
): Promise<ValidationOutcome> {
  const prepared = await phase('prepare', () => prepare(request, readers.pair));
  const digest = await chooseDigest(readers.pair);
  const { checksums, buckets, located } = await readers.inSnapshot(async () => {
    const watched = await watch(prepared, readers.pair);
    const checksums = await phase('compare', (progress) =>
      readChecksums(prepared, digest, watched, readers, { signal, progress }),
    );
    const buckets = differing(checksums.source, checksums.target);
    const rows = buckets.reduce(
      (sum, n) => sum + (checksums.source.counts[n] ?? 0) + (checksums.target.counts[n] ?? 0),
      0,
    );
    const options = { buckets, rows, extraRows: request.extraRows, signal };
    const located = await phase('locate', async (progress) =>
      buckets.length === 0
        ? { counts: { missing: 0, extra: 0, changed: 0 }, suspects: [] }
        : locate(prepared, digest, watched, readers, { ...options, progress }),
    );
    return { checksums, buckets, located };
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
    buckets: { compared: bucketCount, differing: buckets.length },
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
