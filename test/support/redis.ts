import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { freePort } from '../../src/embedded/server.ts';

/** Whether redis-server is on the PATH; with CI set it must be. */
export const redisAvailable = spawnSync('redis-server', ['--version']).status === 0;
if (!redisAvailable && process.env.CI !== undefined)
  throw new Error('redis-server is not installed: apt-get install redis-server');

export interface TestRedis {
  readonly url: string;
  stop(): Promise<void>;
  /** Kills it, and starts it again on the same port with what it had written. */
  restart(): Promise<void>;
  kill(): Promise<void>;
  start(): Promise<void>;
}

/** A Redis of one's own, which writes every command to disk. */
export async function startRedis(): Promise<TestRedis> {
  const directory = mkdtempSync(path.join(tmpdir(), 'switchback-redis-'));
  const port = await freePort();
  let child: ChildProcess;
  const start = async (): Promise<void> => {
    child = spawn(
      'redis-server',
      [
        '--port',
        String(port),
        '--bind',
        '127.0.0.1',
        '--dir',
        directory,
        '--appendonly',
        'yes',
        '--appendfsync',
        'always',
        '--save',
        '',
      ],
      { stdio: ['ignore', 'pipe', 'ignore'] },
    );
    for await (const chunk of child.stdout ?? [])
      if (String(chunk).includes('Ready to accept connections')) break;
    child.stdout?.resume();
  };
  const kill = async (): Promise<void> => {
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  };
  await start();
  return {
    url: `redis://127.0.0.1:${port}`,
    start,
    kill,
    async restart() {
      await kill();
      await start();
    },
    async stop() {
      if (child.exitCode === null && child.signalCode === null) await kill();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
