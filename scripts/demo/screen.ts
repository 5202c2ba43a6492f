/** What the demo shows. Without a terminal there are no moving lines. */
import type { JobEvent } from './client.ts';

const moving = process.stdout.isTTY === true;
const width = 30;

export const say = (text: string): void => void process.stdout.write(`${text}\n`);
export const heading = (text: string): void => say(`\n${text}`);

/** Draws a job's progress from its events; returns how it ended. */
export async function showProgress(events: AsyncIterable<JobEvent>): Promise<string> {
  let end = '';
  let lastStep = '';
  let percent = 0;
  for await (const { type, body } of events) {
    end = type;
    percent = Math.max(
      percent,
      body.percent ??
        ((body.index ?? 0) / (body.of ?? 1)) * 100 - (type === 'step-started' ? 100 / (body.of ?? 1) : 0),
    );
    if (type === 'succeeded') percent = 100;
    const line = `  ${bar(percent)} ${percent.toFixed(0).padStart(3)} %  ${body.step ?? lastStep}${body.message === undefined ? '' : `: ${body.message}`}`;
    if (moving) process.stdout.write(`\r\x1b[K${line.slice(0, (process.stdout.columns ?? 100) - 1)}`);
    else if (type === 'step-finished' || type === 'succeeded' || type === 'failed') say(line.slice(0, 110));
    lastStep = body.step ?? lastStep;
  }
  if (moving) say('');
  return end;
}

function bar(percent: number): string {
  const full = Math.round((Math.min(100, percent) / 100) * width);
  return `[${'#'.repeat(full)}${'.'.repeat(width - full)}]`;
}

export interface Line {
  readonly what: string;
  readonly outcome: string;
  readonly ms: number;
}

export function table(lines: readonly Line[]): void {
  const first = Math.max(...lines.map((line) => line.what.length));
  const second = Math.max(...lines.map((line) => line.outcome.length));
  for (const line of lines)
    say(
      `  ${line.what.padEnd(first)}  ${line.outcome.padEnd(second)}  ${String(Math.round(line.ms)).padStart(6)} ms`,
    );
}
