import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { inject } from 'vitest';
import { type StopMode, startServer as startAgain } from '../../src/embedded/server.ts';
import { launchServer, type Major } from './launch.ts';
import { startStandby, type TestStandby } from './standby.ts';

export { availableMajors, type Major, majors } from './launch.ts';

export interface TestDatabase {
  readonly name: string;
  /** As a superuser. */
  readonly url: string;
  drop(): Promise<void>;
}

/** A new, empty database on the run's PostgreSQL 15, or a copy of another one. */
export const createDatabase = (options: { template?: string } = {}): Promise<TestDatabase> =>
  createDatabaseOn(inject('postgresUrl'), options.template);

async function createDatabaseOn(server: string, template = 'template0'): Promise<TestDatabase> {
  const name = `test_${randomUUID().replaceAll('-', '')}`;
  await onServer(server, async (client) => {
    const { rows } = await client.query<{ writes: boolean }>(
      "select current_setting('server_version_num')::int >= 150000 as writes",
    );
    // Copying files is eight times as fast as writing them to the WAL, which 15 and later do unless told otherwise.
    const how = rows[0]?.writes === true ? 'strategy file_copy' : '';
    await client.query(`create database ${name} template ${template} ${how}`);
  });
  return {
    name,
    url: urlOf(server, name),
    drop: () =>
      onServer(server, async (client) => void (await client.query(`drop database ${name} with (force)`))),
  };
}

/** Works with the run's PostgreSQL, in its database `postgres`. */
export const onShared = <T>(work: (client: pg.Client) => Promise<T>): Promise<T> =>
  onServer(inject('postgresUrl'), work);

async function onServer<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

export function urlOf(server: string, database: string): string {
  const url = new URL(server);
  url.pathname = `/${database}`;
  return url.href;
}

export interface TestServer {
  readonly port: number;
  readonly dataDirectory: string;
  /** As a superuser; the database is `postgres` unless one is named. */
  url(database?: string): string;
  createDatabase(): Promise<TestDatabase>;
  /** A standby that streams from it, under this name. */
  startStandby(name: string): Promise<TestStandby>;
  /** `immediate` is a crash. The port stays. */
  restart(mode: StopMode): Promise<void>;
  stop(mode?: StopMode): Promise<void>;
}

/** A server of one's own, for tests that stop it or need another major or other settings. */
export async function startServer(
  major: Major,
  settings: Readonly<Record<string, string>> = {},
): Promise<TestServer> {
  const launched = await launchServer(inject('runFolder'), major, settings);
  let server: Pick<typeof launched, 'stop'> = launched;
  return {
    port: launched.port,
    dataDirectory: launched.options.dataDirectory,
    url: (database = 'postgres') => launched.url(database),
    createDatabase: () => createDatabaseOn(launched.url('postgres')),
    startStandby: (name) => startStandby(launched.options, launched.url('postgres'), name),
    async restart(mode) {
      await server.stop(mode);
      server = await startAgain(launched.options);
    },
    stop: (mode = 'fast') => server.stop(mode),
  };
}
