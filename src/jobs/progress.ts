import type { Progress, ProgressReport } from './define-job.ts';

const everyMs = 500;

/**
 * Thins out progress: the first report and the last, and between them at most one per 500 ms. A million rows cost a
 * few hundred events.
 */
export function throttle(
  write: (report: ProgressReport) => void,
  now: () => number = performance.now.bind(performance),
): { progress: Progress; flush(): void } {
  let lastAt = Number.NEGATIVE_INFINITY;
  let held: ProgressReport | null = null;
  return {
    progress(report) {
      if (now() - lastAt < everyMs) {
        held = report;
        return;
      }
      lastAt = now();
      held = null;
      write(report);
    },
    flush() {
      if (held !== null) write(held);
      held = null;
    },
  };
}

/** Percent of a whole job: its finished steps and the fraction of the one under way. */
export const percentOf = (stepIndex: number, steps: number, fraction: number): number =>
  Math.round(((stepIndex + Math.min(1, Math.max(0, fraction))) / steps) * 1000) / 10;
