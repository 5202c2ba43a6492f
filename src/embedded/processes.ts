import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

export interface ProcessFacts {
  /** Program and arguments. */
  readonly command: string;
  /** When it started, in the system's own form. With it, a process number that was given out again is told apart. */
  readonly started: string;
}

/** What the system says of a process, or null where there is none of this number. */
export function processFacts(pid: number): ProcessFacts | null {
  if (!Number.isSafeInteger(pid) || pid <= 0) return null;
  return process.platform === 'linux' ? fromProc(pid) : fromPs(pid);
}

/** `/proc` is always there; `ps` is not part of every container image. */
function fromProc(pid: number): ProcessFacts | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field is a name in brackets, which may hold blanks; state is the 3rd field, start time the 22nd.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (fields[0] === 'Z') return null;
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
    return { command, started: fields[19] ?? '' };
  } catch (error) {
    return whenGone(error, ['ENOENT', 'ESRCH']);
  }
}

function fromPs(pid: number): ProcessFacts | null {
  try {
    const show = (column: string): string =>
      execFileSync('ps', ['-ww', '-o', `${column}=`, '-p', String(pid)], { encoding: 'utf8' }).trim();
    return { command: show('command'), started: show('lstart') };
  } catch (error) {
    // ps ends with 1 where there is no such process.
    return whenGone(error, [1]);
  }
}

function whenGone(error: unknown, signs: readonly unknown[]): null {
  const { code, status } = error as { code?: unknown; status?: unknown };
  if (signs.includes(code) || signs.includes(status)) return null;
  throw error;
}
