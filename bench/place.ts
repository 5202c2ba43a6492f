/** Where benchmarks run: a PostgreSQL of their own that is as careful as in production, and processes of Switchback. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import pg from 'pg';
import { freePort } from '../src/embedded/port.ts';
import { launchServer } from '../test/support/launch.ts';
import { closeRunFolder, openRunFolder } from '../test/support/run-folder.ts';
import { waitFor } from '../test/support/wait.ts';

export interface Place {
  readonly folder: string;
  /** A new, empty database. */
  createDatabase(): Promise<string>;
  query(url: string, sql: string): Promise<void>;
}

/** Tests do without what survives a power cut; a benchmark must not. */
const careful = { fsync: 'on', full_page_writes: 'on', shared_buffers: '128MB' };

/** Works with a server that ends with the work. */
export async function withPlace<T>(
  work: (place: Place) => Promise<T>,
  settings: Readonly<Record<string, string>> = {},
): Promise<T> {
  const folder = await openRunFolder();
  try {
    const server = await launchServer(folder, 15, { ...careful, ...settings });
    const query = async (url: string, sql: string): Promise<void> => {
      const client = new pg.Client({ connectionString: url });
      await client.connect();
      await client.query(sql);
      await client.end();
    };
    let databases = 0;
    return await work({
      folder,
      query,
      async createDatabase() {
        databases += 1;
        await query(server.url('postgres'), `create database bench_${databases}`);
        return server.url(`bench_${databases}`);
      },
    });
  } finally {
    await closeRunFolder(folder);
  }
}

export interface Process {
  readonly pid: number;
  stop(): Promise<void>;
}

export interface Switchback {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  startWorker(): Promise<Process>;
  readonly api: Process;
  stop(): Promise<void>;
}

/** Starts the API as a process of its own, on a control database; workers when asked for. */
export async function startSwitchback(
  place: Place,
  options: { controlUrl: string; queueUrl?: string; databases?: Readonly<Record<string, string>> },
): Promise<Switchback> {
  const token = randomBytes(16).toString('hex');
  const port = await freePort();
  const file = path.join(place.folder, `switchback-${port}.json`);
  const config = {
    http: { port, rateLimitPerMinute: 100_000_000 },
    controlDatabase: { url: options.controlUrl },
    ...(options.queueUrl === undefined ? {} : { queue: { url: options.queueUrl } }),
    databases: Object.entries(options.databases ?? {}).map(([name, url]) => ({
      name,
      url,
      migrations: 'none',
    })),
    tokens: [{ name: 'bench', sha256: createHash('sha256').update(token).digest('hex'), scopes: ['admin'] }],
    logLevel: 'error',
  };
  await writeFile(file, JSON.stringify(config));
  const processes: ChildProcess[] = [];
  const start = (verb: string): ChildProcess => {
    const main = new URL('../src/main.ts', import.meta.url).pathname;
    const child = spawn(process.execPath, ['--import', 'tsx', main, verb, '--config', file], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    processes.push(child);
    return child;
  };
  const url = `http://127.0.0.1:${port}`;
  const api = start('serve');
  await waitFor(() => answers(`${url}/api/health/ready`), { what: 'the API', timeoutMs: 60_000 });
  return {
    url,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    api: asProcess(api),
    async startWorker() {
      const worker = start('work');
      await waitFor(() => answers(`${url}/api/health/deep`), { what: 'the worker', timeoutMs: 60_000 });
      return asProcess(worker);
    },
    async stop() {
      await Promise.all(processes.map((child) => asProcess(child).stop()));
    },
  };
}

const asProcess = (child: ChildProcess): Process => ({
  pid: child.pid ?? 0,
  async stop() {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGTERM');
    await once(child, 'exit');
  },
});

async function answers(url: string): Promise<boolean> {
  try {
    return (await fetch(url)).ok;
  } catch {
    // Not listening yet.
    return false;
  }
}
