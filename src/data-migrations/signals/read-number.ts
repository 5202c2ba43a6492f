/** Reads one number over HTTP: out of JSON, or out of Prometheus' text format. */
import { withDeadline } from '../../deadline.ts';

/** Where a number stands; `value` is a JSON pointer (it begins with a slash), or a metric with its labels. */
export interface NumberPlace {
  readonly url: string;
  readonly value: string;
}

const timeoutMs = 3_000;
const maxBytes = 4 * 1_048_576;

/** The number, or why there is none. Does not throw: whoever asks decides what that means. */
export async function readNumber({ url, value }: NumberPlace): Promise<number | { readonly why: string }> {
  try {
    const text = await withDeadline(new AbortController().signal, timeoutMs, (signal) =>
      download(url, signal),
    );
    const found = value.startsWith('/') ? inJson(text, value) : inMetrics(text, value);
    return found === null ? { why: `it gives no number for ${value}` } : found;
  } catch (error) {
    return { why: describe(error) };
  }
}

/** Without its query, which may hold a key. */
export function shownUrl(url: string): string {
  const { origin, pathname } = new URL(url);
  return `${origin}${pathname}`;
}

async function download(url: string, signal: AbortSignal): Promise<string> {
  const response = await fetch(url, { signal, headers: { accept: 'application/json, text/plain' } });
  if (!response.ok) {
    await response.body?.cancel();
    throw new Error(`it answered ${response.status}`);
  }
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    bytes += chunk.byteLength;
    if (bytes > maxBytes) throw new Error(`it sent more than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** RFC 6901. Prometheus' own API gives numbers as text. */
function inJson(text: string, pointer: string): number | null {
  let place: unknown = JSON.parse(text);
  for (const step of pointer.slice(1).split('/')) {
    const key = step.replaceAll('~1', '/').replaceAll('~0', '~');
    if (typeof place !== 'object' || place === null || !Object.hasOwn(place, key)) return null;
    place = (place as Record<string, unknown>)[key];
  }
  return typeof place === 'number' || typeof place === 'string' ? finite(place) : null;
}

/** The first sample of this name whose labels hold all that are given: `http_seconds{quantile="0.95",route="/"}`. */
function inMetrics(text: string, metric: string): number | null {
  const wanted = sampleOf(`${metric} 0`);
  if (wanted === null) return null;
  for (const line of text.split('\n')) {
    if (!line.startsWith(wanted.name)) continue;
    const sample = sampleOf(line);
    if (sample?.name !== wanted.name) continue;
    if ([...wanted.labels].every(([label, value]) => sample.labels.get(label) === value))
      return finite(sample.value);
  }
  return null;
}

/** `name{label="value",…} number [timestamp]`; a value escapes `\`, `"` and line ends with a backslash. */
function sampleOf(line: string) {
  const parts = /^([a-zA-Z_:][\w:]*)\s*(?:\{((?:[^"}]|"(?:[^"\\]|\\.)*")*)\})?\s+(\S+)/.exec(line.trim());
  if (parts === null) return null;
  const [, name = '', labels = '', value = ''] = parts;
  const pairs = [...labels.matchAll(/(\w+)\s*=\s*"((?:[^"\\]|\\.)*)"/g)];
  return { name, value, labels: new Map(pairs.map(([, label = '', text = '']) => [label, text])) };
}

function finite(value: number | string): number | null {
  const number = value === '' ? Number.NaN : Number(value);
  return Number.isFinite(number) ? number : null;
}

/** `fetch` hides the reason in `cause`; an abort says only that it was one. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'AbortError') return `it did not answer within ${timeoutMs} ms`;
  if (error instanceof SyntaxError) return 'it sent no JSON';
  return error.cause instanceof Error && error.cause.message !== '' ? error.cause.message : error.message;
}
