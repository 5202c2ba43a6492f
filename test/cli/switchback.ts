/** Runs the command line as a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { waitFor } from '../support/wait.ts';

const main = path.resolve(import.meta.dirname, '../../src/main.ts');
const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;

export interface Switchback {
  readonly child: ChildProcess;
  /** Everything it printed so far. */
  printed(): string;
  /** Waits until it printed something that fits, and returns the match. */
  prints(pattern: RegExp): Promise<RegExpExecArray>;
  signal(signal: NodeJS.Signals): void;
  /** Waits for its end: the exit code, or the signal that ended it. */
  ended(): Promise<number | NodeJS.Signals>;
}

export function switchback(
  args: readonly string[],
  options: { cwd: string; env?: Record<string, string> },
): Switchback {
  const child = spawn(process.execPath, ['--import', tsx, main, ...args], {
    cwd: options.cwd,
    env: { PATH: process.env.PATH ?? '', ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const closed = once(child, 'close');
  let text = '';
  const keep = (chunk: string): void => {
    text += chunk;
  };
  child.stdout.setEncoding('utf8').on('data', keep);
  child.stderr.setEncoding('utf8').on('data', keep);
  return {
    child,
    printed: () => text,
    async prints(pattern) {
      const found = await waitFor(
        () => {
          const match = pattern.exec(text);
          if (match === null && (child.exitCode ?? child.signalCode) !== null)
            throw new Error(`it ended with ${child.exitCode ?? child.signalCode} and printed: ${text}`);
          return match;
        },
        { timeoutMs: 60_000, what: `${pattern} is printed` },
      );
      if (found === null) throw new Error(`${pattern} was not printed`);
      return found;
    },
    signal: (signal) => void child.kill(signal),
    async ended() {
      await closed;
      return child.exitCode ?? child.signalCode ?? 0;
    },
  };
}
