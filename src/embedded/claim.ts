import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { AppError } from '../errors.ts';
import { processFacts } from './processes.ts';

const identify = (pid: number): string => `${pid} ${processFacts(pid)?.started ?? 'gone'}`;

/**
 * Makes this process the owner of a folder, by a file in it that names the process and when it started. An owner that
 * is dead is succeeded, also when its number belongs to another program by now.
 * @returns the function that gives the folder back
 * @throws AppError `EMBEDDED_START_FAILED` naming the owner while it lives
 */
export async function claim(file: string, what: string): Promise<() => Promise<void>> {
  const mine = `${file}.${process.pid}`;
  await writeFile(mine, identify(process.pid), { mode: 0o600 });
  try {
    // A link appears with its content, or not at all.
    while (!(await unless('EEXIST', link(mine, file)))) await removeDead(file, mine, what);
  } finally {
    await rm(mine, { force: true });
  }
  return () => rm(file, { force: true });
}

async function removeDead(file: string, mine: string, what: string): Promise<void> {
  const aside = `${mine}.aside`;
  refuseAlive(await readIfThere(file), what);
  if (!(await unless('ENOENT', rename(file, aside)))) return;
  try {
    // Between reading and renaming a successor may have come: then what was taken away is put back.
    refuseAlive(await readIfThere(aside), what);
  } catch (error) {
    await unless('EEXIST', link(aside, file));
    throw error;
  } finally {
    await rm(aside, { force: true });
  }
}

function refuseAlive(owner: string | null, what: string): void {
  if (owner === null) return;
  const pid = Number.parseInt(owner, 10);
  if (owner !== identify(pid)) return;
  throw new AppError(
    'EMBEDDED_START_FAILED',
    `Switchback already runs on ${what}, as process ${pid}. Nothing was started. Stop that one first (kill ${pid}), ` +
      'or give this one another folder in SWITCHBACK_DATA_DIRECTORY.',
    { pid },
  );
}

async function readIfThere(file: string): Promise<string | null> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/** Whether the work was done; false where the file system answers with the code. */
async function unless(code: string, work: Promise<void>): Promise<boolean> {
  try {
    await work;
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === code) return false;
    throw error;
  }
}
