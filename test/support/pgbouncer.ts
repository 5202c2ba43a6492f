import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import path from 'node:path';
import { inject } from 'vitest';
import { serverUser } from '../../src/embedded/os-user.ts';
import { freePort } from '../../src/embedded/port.ts';
import { waitFor } from './wait.ts';

const program = ['pgbouncer', '/usr/sbin/pgbouncer'].find(
  (name) => spawnSync(name, ['--version']).status === 0,
);

/** Whether pgbouncer is installed. Tests that need it say so by being skipped. */
export const hasPgbouncer: boolean = program !== undefined;

export interface TestPooler {
  /** URL of a database behind the pooler. */
  url(database: string): string;
  stop(): Promise<void>;
}

/** A pgbouncer before the run's PostgreSQL. It refuses to run as root, as PostgreSQL does. */
export async function startPgbouncer(mode: 'transaction' | 'session'): Promise<TestPooler> {
  if (program === undefined) throw new Error('pgbouncer is not installed');
  const server = new URL(inject('postgresUrl'));
  const folder = await mkdtemp(path.join(inject('runFolder'), 'pgbouncer-'));
  await chmod(folder, 0o755);
  const port = await freePort();
  const file = path.join(folder, 'pgbouncer.ini');
  await writeFile(
    file,
    `[databases]\n* = host=${server.hostname} port=${server.port} user=${server.username} password=${server.password}\n` +
      `[pgbouncer]\nlisten_addr=127.0.0.1\nlisten_port=${port}\nauth_type=any\npool_mode=${mode}\nunix_socket_dir=\n`,
  );
  const user = serverUser();
  const child = spawn(program, [file], {
    cwd: '/',
    stdio: 'ignore',
    ...(user === null ? {} : { uid: user.uid, gid: user.gid }),
  });
  await waitFor(() => answers(port), { what: 'pgbouncer' });
  return {
    url: (database) => `postgres://${server.username}@127.0.0.1:${port}/${database}`,
    async stop() {
      const ended = once(child, 'close');
      child.kill('SIGQUIT');
      await ended;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}
