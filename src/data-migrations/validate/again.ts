/** Compares rows that differed once more, by their keys, so that those which the application just writes are told apart. */
import { keyId, readByKeys } from './by-key.ts';
import { describe } from './describe.ts';
import { type Digest, rowDigest, type SideName } from './digest.ts';
import { type WatchedPair, watch } from './identity.ts';
import type { Suspect } from './locate.ts';
import type { Prepared } from './prepare.ts';
import { pause, type Readers } from './readers.ts';
import type { Difference, DifferenceKind, PhaseProgress, ValidationRequest } from './request.ts';

export interface Judged {
  /** Rows that differed twice while neither side changed. */
  readonly confirmed: Record<DifferenceKind, number>;
  readonly listed: readonly Difference[];
  /** Rows that differed at each try, and changed between any two. */
  readonly moving: readonly Suspect[];
  /** Rows that were the same when they were compared again. */
  readonly settled: number;
}

export interface AgainOptions
  extends Pick<ValidationRequest, 'pauseMs' | 'tries' | 'listed' | 'values' | 'extraRows'> {
  readonly signal: AbortSignal;
  readonly progress: (report: PhaseProgress) => void;
}

const keysAtOnce = 500;

/** @throws AppError `TABLE_CHANGED` */
export async function compareAgain(
  prepared: Prepared,
  digest: Digest,
  readers: Readers,
  suspects: readonly Suspect[],
  options: AgainOptions,
): Promise<Judged> {
  const confirmed = { missing: 0, extra: 0, changed: 0 };
  const listed: Difference[] = [];
  let settled = 0;
  let moving = suspects;
  for (let tried = 0; tried < options.tries && moving.length > 0; tried += 1) {
    await pause(options.pauseMs, options.signal);
    moving = await readers.inSnapshot(async () => {
      const watched = await watch(prepared, readers.pair);
      const still: Suspect[] = [];
      for (let at = 0; at < moving.length; at += keysAtOnce) {
        options.signal.throwIfAborted();
        const before = moving.slice(at, at + keysAtOnce);
        const now = await readAgain(prepared, digest, readers, watched, before);
        const found = now.map((suspect, n) => ({
          suspect,
          verdict: judge(before[n] as Suspect, suspect, options),
        }));
        const wrong = found.filter(({ verdict }) => verdict === 'wrong').map(({ suspect }) => suspect);
        for (const { kind } of wrong) confirmed[kind] += 1;
        const room = wrong.slice(0, Math.max(0, options.listed - listed.length));
        listed.push(...(await describe(prepared, digest, watched, readers.pair, room, options.values)));
        settled += found.filter(({ verdict }) => verdict === 'settled').length;
        still.push(...found.filter(({ verdict }) => verdict === 'moving').map(({ suspect }) => suspect));
        options.progress({ done: at + before.length, total: moving.length, unit: 'rows' });
      }
      return still;
    });
  }
  return { confirmed, listed, moving, settled };
}

function judge(
  before: Suspect,
  now: Suspect,
  { extraRows }: Pick<ValidationRequest, 'extraRows'>,
): 'settled' | 'wrong' | 'moving' {
  if (now.source === now.target || (now.source === null && extraRows === 'allowed')) return 'settled';
  return now.source === before.source && now.target === before.target ? 'wrong' : 'moving';
}

async function readAgain(
  prepared: Prepared,
  digest: Digest,
  readers: Readers,
  watched: WatchedPair,
  suspects: readonly Suspect[],
): Promise<Suspect[]> {
  const keys = suspects.map(({ key }) => key);
  const read = (side: SideName): Promise<Map<string, string>> =>
    readByKeys<string>(
      readers.pair[side],
      prepared,
      side,
      watched[side],
      keys,
      `${rowDigest(digest, prepared.key, prepared.columns, side)}::pg_catalog.text`,
    );
  const source = await read('source');
  const target = await read('target');
  return keys.map((key) => {
    const [ofSource, ofTarget] = [source.get(keyId(key)) ?? null, target.get(keyId(key)) ?? null];
    const kind = ofSource === null ? 'extra' : ofTarget === null ? 'missing' : 'changed';
    return { kind, key, source: ofSource, target: ofTarget };
  });
}
