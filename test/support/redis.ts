import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import path from 'node:path';
import { inject } from 'vitest';
import { freePort } from '../../src/embedded/port.ts';
import { waitFor } from './wait.ts';

/** Whether redis-server is on the PATH. Tests that need it say so by being skipped. */
export const hasRedis: boolean = spawnSync('redis-server', ['--version']).status === 0;

export interface TestRedis {
  readonly url: string;
  /** `kill -9`. What it had acknowledged stays (append-only file). */
  kill(): Promise<void>;
  /** After `kill`, on the same port. */
  start(): Promise<void>;
  /** The two, one after the other. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/** A Redis of one's own. */
export async function startRedis(): Promise<TestRedis> {
  const folder = await mkdtemp(path.join(inject('runFolder'), 'redis-'));
  const port = await freePort();
  let child = await launch(folder, port);
  const kill = async (): Promise<void> => {
    const ended = once(child, 'close');
    child.kill('SIGKILL');
    await ended;
  };
  const start = async (): Promise<void> => {
    child = await launch(folder, port);
  };
  return {
    url: `redis://127.0.0.1:${port}`,
    kill,
    start,
    async restart() {
      await kill();
      await start();
    },
    async stop() {
      if (child.signalCode === null) await kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function launch(folder: string, port: number): Promise<ChildProcess> {
  const child = spawn(
    'redis-server',
    [
      ...['--bind', '127.0.0.1', '--port', String(port), '--dir', folder, '--save', ''],
      ...['--appendonly', 'yes', '--appendfsync', 'always', '--pidfile', path.join(folder, 'redis.pid')],
    ],
    { stdio: 'ignore' },
  );
  await waitFor(() => child.exitCode !== null || answers(port), { what: 'redis-server listens' });
  if (child.exitCode !== null) throw new Error(`redis-server ended with ${child.exitCode}`);
  return child;
}

async function answers(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    socket.write('PING\r\n');
    const [reply] = (await once(socket, 'data')) as [Buffer];
    // While it loads its file it answers -LOADING.
    return reply.toString().startsWith('+PONG');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ECONNREFUSED') return false;
    throw error;
  } finally {
    socket.destroy();
  }
}
