import { setTimeout as pause } from 'node:timers/promises';
import { withDeadline } from '../deadline.ts';

/** What one of the application's URLs answered. `url` is shown without its query, which may hold a key. */
export interface ProbeOutcome {
  readonly url: string;
  readonly ok: boolean;
  /** HTTP status, or null where there was no answer. */
  readonly status: number | null;
  readonly output: string;
  readonly tries: number;
  readonly durationMs: number;
}

const tries = 3;
const pauseMs = 1_000;
const timeoutMs = 10_000;

/** Calls the application's critical paths, all at once; each is given three tries. 2xx is an answer as it should be. */
export function probe(urls: readonly string[], signal: AbortSignal): Promise<ProbeOutcome[]> {
  return Promise.all(urls.map((url) => probeOne(url, signal)));
}

async function probeOne(url: string, signal: AbortSignal): Promise<ProbeOutcome> {
  const startedAt = performance.now();
  const { origin, pathname } = new URL(url);
  for (let attempt = 1; ; attempt += 1) {
    const answer = await call(url, signal);
    if (answer.ok || attempt === tries)
      return {
        url: `${origin}${pathname}`,
        ...answer,
        tries: attempt,
        durationMs: Math.round(performance.now() - startedAt),
      };
    await pause(pauseMs, undefined, { signal });
  }
}

async function call(
  url: string,
  signal: AbortSignal,
): Promise<Pick<ProbeOutcome, 'ok' | 'status' | 'output'>> {
  try {
    const response = await withDeadline(signal, timeoutMs, async (deadline) => {
      const answer = await fetch(url, { redirect: 'follow', signal: deadline });
      await answer.body?.cancel();
      return answer;
    });
    return {
      ok: response.ok,
      status: response.status,
      output: `${response.status} ${response.statusText}`.trim(),
    };
  } catch (error) {
    signal.throwIfAborted();
    return { ok: false, status: null, output: describe(error) };
  }
}

/** `fetch` hides the reason in `cause`. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return 'no answer';
  return error.cause instanceof Error && error.cause.message !== '' ? error.cause.message : error.message;
}
