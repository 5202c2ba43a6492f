import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { freePort } from '../src/embedded/port.ts';

export interface BenchRedis {
  readonly url: string;
  stop(): Promise<void>;
}

/** A Redis that keeps what it is told, with its usual append-only file. */
export async function startRedis(folder: string): Promise<BenchRedis> {
  const directory = path.join(folder, 'redis');
  await mkdir(directory);
  const port = await freePort();
  const child = spawn(
    'redis-server',
    [
      ...['--bind', '127.0.0.1', '--port', String(port), '--dir', directory],
      ...['--save', '', '--appendonly', 'yes', '--appendfsync', 'everysec'],
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  for await (const line of child.stdout) if (/Ready to accept connections/.test(String(line))) break;
  return {
    url: `redis://127.0.0.1:${port}`,
    async stop() {
      child.kill('SIGTERM');
      if (child.exitCode === null) await once(child, 'exit');
    },
  };
}
