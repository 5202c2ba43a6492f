/** What the checks found, in the form of `application/health+json`. */
import { AppError, toAppError } from '../errors.ts';
import type { CheckFinding, HealthStatus } from './define-check.ts';

export interface CheckResult extends CheckFinding {
  readonly time: string;
  readonly durationMs: number;
}

/** `checks` has one key for each component and what was looked at: `orders:connection`. */
export interface HealthOutcome {
  readonly status: HealthStatus;
  readonly checks: Readonly<Record<string, readonly CheckResult[]>>;
}

interface Measurable {
  readonly timeoutMs: number;
  run(): Promise<CheckFinding>;
}

/** Collects results while checks run beside each other. */
export class Results {
  readonly #found = new Map<string, CheckResult>();
  readonly #deadline: AbortSignal;

  constructor(deadline: AbortSignal) {
    this.#deadline = deadline;
  }

  /** Runs one check within its own time and the deadline. What it throws is a finding too. */
  async measure(
    key: string,
    check: Measurable,
  ): Promise<{ readonly status: HealthStatus; readonly timedOut: boolean }> {
    const time = new Date().toISOString();
    const startedAt = performance.now();
    const { finding, timedOut } = await settle(check, this.#deadline);
    const durationMs = Math.round(performance.now() - startedAt);
    this.#found.set(key, { ...finding, time, durationMs });
    return { status: finding.status, timedOut };
  }

  /** A check that did not run claims nothing: it is named, with a warning. */
  nameWhatIsMissing(database: string, checks: readonly string[], deadlineMs: number): void {
    const [first = '', ...others] = checks.map((check) => `${database}:${check}`);
    const reached = this.#found.get(first);
    if (reached?.status === 'fail') return;
    const time = new Date().toISOString();
    const output = `not checked: the answer was due after ${deadlineMs} ms`;
    for (const key of reached === undefined ? [first] : others)
      if (!this.#found.has(key)) this.#found.set(key, { status: 'warn', output, time, durationMs: 0 });
  }

  outcome(): HealthOutcome {
    const statuses = new Set([...this.#found.values()].map((result) => result.status));
    const status = statuses.has('fail') ? 'fail' : statuses.has('warn') ? 'warn' : 'pass';
    return {
      status,
      checks: Object.fromEntries([...this.#found].map(([key, result]) => [key, [result]])),
    };
  }
}

async function settle(
  check: Measurable,
  deadline: AbortSignal,
): Promise<{ finding: CheckFinding; timedOut: boolean }> {
  try {
    return { finding: await within(check.run(), check.timeoutMs, deadline), timedOut: false };
  } catch (thrown) {
    const { code, message } = toAppError(thrown);
    return { finding: { status: 'fail', output: `${code}: ${message}` }, timedOut: code === 'CHECK_TIMEOUT' };
  }
}

/** Stops waiting when the time is over. The work itself goes on; whoever began it ends it. */
function within<T>(work: Promise<T>, timeoutMs: number, deadline: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = (): void =>
      reject(new AppError('CHECK_TIMEOUT', 'There was no answer in the time that the check may take.'));
    const timer = setTimeout(stop, timeoutMs);
    deadline.addEventListener('abort', stop, { once: true });
    if (deadline.aborted) stop();
    work.then(resolve, reject).finally(() => {
      clearTimeout(timer);
      deadline.removeEventListener('abort', stop);
    });
  });
}
