import { existsSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { AppError } from '../errors.ts';
import { processFacts } from './processes.ts';

/** Lines of postmaster.pid: process, data directory, start time, port, …, and in the 8th the status. */
export async function pidFile(dataDirectory: string): Promise<string[]> {
  const file = path.join(dataDirectory, 'postmaster.pid');
  return existsSync(file) ? (await readFile(file, 'utf8')).split('\n') : [];
}

/**
 * Stops the server that a killed run left running on a data directory.
 * @returns the process that was stopped, or null when there was none
 * @throws AppError `EMBEDDED_START_FAILED` when it does not end
 */
export async function stopOrphan(dataDirectory: string, patienceMs = 30_000): Promise<number | null> {
  const pid = Number((await pidFile(dataDirectory))[0] ?? 0);
  const found = processFacts(pid);
  if (found === null) return null;
  if (!`${found.command} `.includes(`postgres -D ${dataDirectory} `)) {
    // The number belongs to another program now. PostgreSQL could not tell, and would not start.
    await rm(path.join(dataDirectory, 'postmaster.pid'), { force: true });
    return null;
  }
  process.kill(pid, 'SIGINT');
  for (const until = Date.now() + patienceMs; Date.now() < until; await pause(50))
    if (processFacts(pid)?.started !== found.started) return pid;
  throw new AppError(
    'EMBEDDED_START_FAILED',
    `An embedded PostgreSQL of an earlier run (process ${pid}) still works on ${dataDirectory} and does not stop. ` +
      `Your data is safe there. Look at the process, end it with "kill -QUIT ${pid}", and start again.`,
    { pid, dataDirectory },
  );
}
