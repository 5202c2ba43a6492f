import {
  defineSignal,
  type Load,
  NotWatched,
  type SignalPlace,
  type ThrottleLimits,
} from '../define-signal.ts';
import { openStatements, type Statements } from './statements.ts';
import { inTime, rounded } from './words.ts';

/** Fewer say little; where there are few for so long, they are judged nevertheless. */
const enoughCalls = 20;
const longEnoughMs = 15_000;
/** A statement that was called less often has no usual time. */
const usualCalls = 5;
/** Statements of microseconds become several times as slow by nothing. */
const noticeableMs = 1;

interface Interval {
  readonly calls: number;
  readonly totalMs: number;
  /** What those of them that have a usual time took, and would have taken as usual. */
  readonly compared: { readonly calls: number; readonly totalMs: number; readonly usualMs: number };
}

/**
 * How long the application's statements take: on average between two looks, and beside what each of them took before
 * the data migration began, so that it does not matter which of them come more often now.
 */
export const statementLatency = defineSignal({
  name: 'statement-latency',
  summary: "How long the application's statements take (pg_stat_statements)",
  everyMs: 5_000,
  isOn: (limits) => limits.timesUsualLatency !== null || limits.meanLatencyMs !== null,
  watch() {
    let read: ((place: SignalPlace) => Promise<Statements>) | null = null;
    let usual: ReadonlyMap<string, number> = new Map();
    let base: { readonly at: number; readonly statements: Statements } | null = null;
    let loads: readonly Load[] = [];
    return async (place, limits) => {
      read ??= await openStatements(place);
      const current = await read(place);
      const at = place.now();
      if (current.hidden > 0)
        throw new NotWatched("the role may not see other roles' statements; grant it pg_read_all_stats");
      if (base === null) {
        usual = usualOf(current);
        base = { at, statements: current };
        return loads;
      }
      const interval = between(base.statements, current, usual);
      if (interval.calls < enoughCalls && at - base.at < longEnoughMs) return loads;
      base = { at, statements: current };
      loads = judge(interval, limits);
      return loads;
    };
  },
});

const usualOf = ({ application }: Statements): Map<string, number> =>
  new Map(
    [...application]
      .filter(([, { calls }]) => calls >= usualCalls)
      .map(([id, { calls, totalMs }]) => [id, totalMs / calls]),
  );

function between(before: Statements, after: Statements, usual: ReadonlyMap<string, number>): Interval {
  const sum = { calls: 0, totalMs: 0 };
  const compared = { calls: 0, totalMs: 0, usualMs: 0 };
  for (const [id, now] of after.application) {
    const then = before.application.get(id) ?? { calls: 0, totalMs: 0 };
    const calls = now.calls - then.calls;
    const totalMs = now.totalMs - then.totalMs;
    // The statistics were reset, or the statement was forgotten and came anew.
    if (calls <= 0 || totalMs < 0) continue;
    sum.calls += calls;
    sum.totalMs += totalMs;
    const usualMs = usual.get(id);
    if (usualMs === undefined) continue;
    compared.calls += calls;
    compared.totalMs += totalMs;
    compared.usualMs += calls * usualMs;
  }
  return { ...sum, compared };
}

function judge({ calls, totalMs, compared }: Interval, limits: ThrottleLimits): Load[] {
  const loads: Load[] = [];
  const mean = calls === 0 ? 0 : totalMs / calls;
  if (limits.meanLatencyMs !== null)
    loads.push({
      level: mean / limits.meanLatencyMs,
      says: `the application's statements take ${inTime(mean)} on average, limit ${inTime(limits.meanLatencyMs)}`,
    });
  const slower = compared.totalMs - compared.usualMs;
  if (limits.timesUsualLatency !== null && slower > noticeableMs * compared.calls) {
    const times = compared.totalMs / compared.usualMs;
    loads.push({
      level: times / limits.timesUsualLatency,
      says: `the application's statements take ${rounded(times)} times as long as usual, limit ${rounded(limits.timesUsualLatency)} times`,
    });
  }
  return loads;
}
