/** What the demo shows. Without a terminal there are no moving lines. */
import type { JobEvent } from './client.ts';

const moving = process.stdout.isTTY === true;
const width = 30;

export const say = (text: string): void => void process.stdout.write(`${text}\n`);
export const heading = (text: string): void => say(`\n${text}`);

const ends = ['succeeded', 'failed', 'cancelled'];

/** Draws a job's progress from its events; returns how it ended. Without a terminal: a line for each finished step. */
export async function showProgress(events: AsyncIterable<JobEvent>): Promise<string> {
  let end = '';
  let percent = 0;
  for await (const { type, body } of events) {
    const { step, index, of } = body;
    if (type === 'progress') percent = body.percent ?? percent;
    if (type === 'step-finished' && index !== undefined && of !== undefined) percent = (index / of) * 100;
    const ended = ends.includes(type);
    if (ended) end = type;
    const line = `  ${bar(percent)} ${percent.toFixed(0).padStart(3)} %  ${ended ? type : (step ?? '')}`;
    if (moving) process.stdout.write(`\r\x1b[K${line}`);
    else if (type === 'step-finished' || ended) say(line);
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
