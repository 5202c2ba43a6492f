import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chown, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { AppError } from '../errors.ts';
import { pidFile } from './orphan.ts';
import { type OsUser, ownFolder } from './os-user.ts';

export interface ServerOptions {
  /** Folder with bin, lib and share. */
  readonly binaries: string;
  /** Made by initdb when it is not there; its parent must exist. */
  readonly dataDirectory: string;
  /** Who runs it, where that is not this process's own user. */
  readonly user: OsUser | null;
  /** Of the superuser `switchback`: set when the data directory is made, and part of the URLs. Needs no escaping. */
  readonly password: string;
  readonly port: number;
  /** PostgreSQL settings beside ours. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** `fast` ends sessions, `immediate` crashes: the next start recovers. */
export type StopMode = 'fast' | 'immediate';

export interface Server {
  readonly port: number;
  readonly pid: number;
  /** URL of one of its databases, as the superuser. */
  url(database: string): string;
  stop(mode?: StopMode): Promise<void>;
  /** Settles when the server is gone, whoever ended it. */
  readonly gone: Promise<void>;
}

const startWithinMs = 60_000;

/**
 * Starts a PostgreSQL server as a child of this process. It listens on 127.0.0.1 only, by password only, and has no
 * socket in the file system that another user could find.
 * @throws AppError `EMBEDDED_START_FAILED` with the end of the server's log
 */
export async function startServer(options: ServerOptions): Promise<Server> {
  const { dataDirectory, password, port } = options;
  const settings = {
    listen_addresses: '127.0.0.1',
    port: String(port),
    unix_socket_directories: '',
    ...options.settings,
  };
  if (!existsSync(dataDirectory)) await initialise(options, options.settings?.fsync === 'off');
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const { child, log, ended } = launch(options, 'postgres', ['-D', dataDirectory, ...flags]);
  await ready(child, dataDirectory, log);
  return {
    port,
    pid: child.pid ?? 0,
    url: (database) => `postgres://switchback:${password}@127.0.0.1:${port}/${database}`,
    async stop(mode = 'fast') {
      child.kill(mode === 'fast' ? 'SIGINT' : 'SIGQUIT');
      await ended;
    },
    gone: ended,
  };
}

/** Complete or not there: what a killed run left half-made is made anew. */
async function initialise(options: ServerOptions, careless: boolean): Promise<void> {
  const { dataDirectory, user, password } = options;
  const unfinished = `${dataDirectory}.unfinished`;
  const passwordFile = `${dataDirectory}.initial-password`;
  await rm(unfinished, { recursive: true, force: true });
  await ownFolder(unfinished, user);
  await writeFile(passwordFile, password, { mode: 0o600 });
  try {
    if (user !== null) await chown(passwordFile, user.uid, user.gid);
    const { child, log, ended } = launch(options, 'initdb', [
      ...['-D', unfinished, '-U', 'switchback', '-A', 'scram-sha-256', '-E', 'UTF8', '--locale=C'],
      ...[`--pwfile=${passwordFile}`, ...(careless ? ['--no-sync'] : [])],
    ]);
    await ended;
    if (child.exitCode !== 0) throw failed('initdb', child, log);
    await rename(unfinished, dataDirectory);
  } finally {
    await rm(passwordFile, { force: true });
  }
}

interface Launched {
  readonly child: ChildProcess;
  /** The last lines of what it printed. */
  readonly log: () => string;
  readonly ended: Promise<void>;
}

function launch(
  { binaries, user }: Pick<ServerOptions, 'binaries' | 'user'>,
  program: string,
  args: readonly string[],
): Launched {
  const child = spawn(path.join(binaries, 'bin', program), args, {
    cwd: '/',
    // A Ctrl-C in the terminal is meant for us: we stop the server, after those who use it.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' },
    ...(user === null ? {} : { uid: user.uid, gid: user.gid }),
  });
  let tail = '';
  const keep = (text: string): void => {
    tail = (tail + text).slice(-4_000);
  };
  child.stdout.setEncoding('utf8').on('data', keep);
  child.stderr.setEncoding('utf8').on('data', keep);
  child.on('error', (error) => keep(error.message));
  const ended = new Promise<void>((resolve) => {
    child.once('close', () => resolve());
  });
  return { child, log: () => tail.trim(), ended };
}

async function ready(child: ChildProcess, dataDirectory: string, log: () => string): Promise<void> {
  for (const until = Date.now() + startWithinMs; Date.now() < until; await pause(20)) {
    if (child.exitCode !== null || child.signalCode !== null) throw failed('postgres', child, log);
    const lines = await pidFile(dataDirectory);
    if (lines[0] === String(child.pid) && lines[7]?.trim() === 'ready') return;
  }
  child.kill('SIGQUIT');
  await once(child, 'close');
  throw failed('postgres', child, log);
}

const failed = (program: string, child: ChildProcess, log: () => string): AppError =>
  new AppError(
    'EMBEDDED_START_FAILED',
    `The embedded PostgreSQL did not start: ${program} ended with ${child.exitCode ?? child.signalCode}. ` +
      `Nothing was changed in its data. It said: ${log()}`,
  );
