/** Names of files that are being written, and how those that nobody writes any more are told apart. */
import { stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import path from 'node:path';

const pattern = /^\.switchback-(?<host>.+)-(?<pid>\d+)-[0-9a-f]+\.part$/;
const silentMs = 24 * 3_600_000;

/** A hidden name that says which process writes the file. */
export const temporaryName = (unique: string): string =>
  `.switchback-${hostname()}-${process.pid}-${unique}.part`;

/**
 * Whether a file was being written by a process that is gone. Of processes on other machines (a shared directory)
 * nothing can be known: theirs are leftovers when nothing was written to them for a day.
 */
export async function isLeftover(file: string): Promise<boolean> {
  const named = pattern.exec(path.basename(file))?.groups;
  if (named === undefined) return false;
  const { mtimeMs } = await stat(file);
  if (Date.now() - mtimeMs > silentMs) return true;
  if (named.host !== hostname()) return false;
  const pid = Number(named.pid);
  // In a container the process number is the same after a restart.
  if (pid === process.pid) return mtimeMs < Date.now() - process.uptime() * 1_000;
  return !isRunning(pid);
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it runs as another user.
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
