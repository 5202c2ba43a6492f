/** The folder of one run of the tests: every server that they start lives in it, and ends with it. */
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { stopOrphan } from '../../src/embedded/orphan.ts';
import { processFacts } from '../../src/embedded/processes.ts';

const prefix = 'switchback-test-';
const ownerFile = 'owner';

const identify = (pid: number): string => `${pid} ${processFacts(pid)?.started ?? 'gone'}`;

/** Makes the folder of this run, after clearing up behind runs that were killed. */
export async function openRunFolder(): Promise<string> {
  for (const entry of await readdir(tmpdir()))
    if (entry.startsWith(prefix)) await clearIfAbandoned(path.join(tmpdir(), entry));
  const folder = await mkdtemp(path.join(tmpdir(), prefix));
  await writeFile(path.join(folder, ownerFile), identify(process.pid));
  // PostgreSQL's user has to come through, when the tests run as root.
  await chmod(folder, 0o711);
  return folder;
}

async function clearIfAbandoned(folder: string): Promise<void> {
  const file = path.join(folder, ownerFile);
  if (!existsSync(file)) return;
  const owner = await readFile(file, 'utf8');
  if (owner !== identify(Number.parseInt(owner, 10))) await closeRunFolder(folder);
}

/** Stops what still runs in the folder, and removes it. */
export async function closeRunFolder(folder: string): Promise<void> {
  for (const entry of await readdir(folder)) {
    await stopOrphan(path.join(folder, entry, 'data'));
    for (const pid of redisPids(path.join(folder, entry))) process.kill(pid, 'SIGTERM');
  }
  await rm(folder, { recursive: true, force: true, maxRetries: 20 });
}

/** The same when the process is about to end, and nothing can be waited for. */
export function dropRunFolder(folder: string): void {
  if (!existsSync(folder)) return;
  for (const entry of readdirSync(folder)) {
    const file = path.join(folder, entry, 'data', 'postmaster.pid');
    const pids = existsSync(file) ? [Number.parseInt(readFileSync(file, 'utf8'), 10)] : [];
    for (const pid of [...pids, ...redisPids(path.join(folder, entry))])
      if (processFacts(pid)?.command.includes(folder)) process.kill(pid, 'SIGQUIT');
  }
  rmSync(folder, { recursive: true, force: true, maxRetries: 20 });
}

function redisPids(folder: string): number[] {
  const file = path.join(folder, 'redis.pid');
  if (!existsSync(file)) return [];
  const pid = Number.parseInt(readFileSync(file, 'utf8'), 10);
  return processFacts(pid)?.command.includes('redis-server') ? [pid] : [];
}
