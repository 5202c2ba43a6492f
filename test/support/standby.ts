/** Starts a standby of a test's own server, by PostgreSQL's low-level backup: the servers here lack pg_basebackup. */
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { chown, mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { inject } from 'vitest';
import { freePort } from '../../src/embedded/port.ts';
import { type ServerOptions, startServer } from '../../src/embedded/server.ts';

export interface TestStandby {
  url(database?: string): string;
  stop(): Promise<void>;
}

/**
 * @param primary how it was started
 * @param name its `application_name` in the primary's pg_stat_replication
 */
export async function startStandby(
  primary: ServerOptions,
  primaryUrl: string,
  name: string,
): Promise<TestStandby> {
  const folder = path.join(inject('runFolder'), `postgresql-standby-${randomUUID().slice(0, 8)}`);
  await mkdir(folder, { mode: 0o755 });
  const dataDirectory = path.join(folder, 'data');
  const write = async (file: string, text: string): Promise<void> => {
    const place = path.join(dataDirectory, file);
    await writeFile(place, text);
    if (primary.user !== null) await chown(place, primary.user.uid, primary.user.gid);
  };
  await write('backup_label', await copy(primary.dataDirectory, dataDirectory, primaryUrl));
  await write('standby.signal', '');
  const from = `host=127.0.0.1 port=${primary.port} user=switchback password=${primary.password}`;
  const server = await startServer({
    ...primary,
    dataDirectory,
    port: await freePort(),
    settings: { ...primary.settings, primary_conninfo: `${from} application_name=${name}` },
  });
  return {
    url: (database = 'postgres') => server.url(database),
    async stop() {
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** @returns the text of backup_label */
async function copy(from: string, to: string, primaryUrl: string): Promise<string> {
  const client = new pg.Client({ connectionString: primaryUrl });
  await client.connect();
  try {
    const { rows } = await client.query("select current_setting('server_version_num')::int >= 150000 as new");
    const [begin, end] = rows[0].new
      ? ["pg_backup_start('standby', true)", 'pg_backup_stop(false)']
      : ["pg_start_backup('standby', true, false)", 'pg_stop_backup(false, false)'];
    await client.query(`select ${begin}`);
    // With its owner: the server's user is another one when the tests run as root.
    await promisify(execFile)('cp', ['-a', from, to]);
    await rm(path.join(to, 'postmaster.pid'));
    const stopped = await client.query<{ labelfile: string }>(`select labelfile from ${end}`);
    return stopped.rows[0]?.labelfile ?? '';
  } finally {
    await client.end();
  }
}
