import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type BackupRequest, createBackup, type Dump } from '../../src/backups/create.ts';
import type { BackupStore } from '../../src/backups/stores/define-store.ts';
import { openStore } from '../../src/backups/stores/index.ts';
import { verifyBackup } from '../../src/backups/verify.ts';
import { programDirectories } from '../../src/config.ts';
import { withSession } from '../../src/db/session.ts';
import { parseTarget, type Target } from '../../src/db/target.ts';
import { availableMajors, createDatabase, startServer } from '../support/postgres.ts';
import { waitFor } from '../support/wait.ts';

const programPlaces = { searchPath: programDirectories() };
const key = 'orders/one.dump';
let database: Awaited<ReturnType<typeof createDatabase>>;
let target: Target;
let directory: string;
let store: BackupStore;

beforeAll(async () => {
  database = await createDatabase();
  target = parseTarget(database.url);
  await run(`create table "Order" (id int primary key, note text);
             insert into "Order" select n, md5(n::text) || md5((n * 7)::text) from generate_series(1, 60000) as n;
             create table "Zone" as select 'dumped last, by one more command to the server' as note`);
});
afterAll(() => database.drop());
beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'switchback-backup-'));
  store = await openStore({ type: 'file', directory });
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const run = (sql: string): Promise<unknown> =>
  withSession(target, { applicationName: 'test' }, (session) => session.query(sql));
const filesIn = async (place: string): Promise<string[]> => {
  const entries = await readdir(place, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => entry.name);
};
const request = (changes: Partial<BackupRequest> = {}): BackupRequest => ({
  target,
  store,
  key,
  programPlaces,
  lockWaitSeconds: 5,
  applicationName: 'switchback:backup:test',
  signal: new AbortController().signal,
  progress: () => undefined,
  ...changes,
});
const verify = (dump: Dump, signal = new AbortController().signal): Promise<void> =>
  verifyBackup(store, dump, { signal, progress: () => undefined });
/** A store that calls `meanwhile` after the first chunk, while pg_dump waits for us to read on. */
const pausingStore = (meanwhile: () => Promise<void>): BackupStore => ({
  display: store.display,
  get: (from) => store.get(from),
  list: () => store.list(),
  remove: (which) => store.remove(which),
  put(under, content, signal) {
    const paused = async function* (): AsyncGenerator<Uint8Array> {
      let first = true;
      for await (const chunk of content) {
        if (first) await meanwhile();
        first = false;
        yield chunk;
      }
    };
    return store.put(under, paused(), signal);
  },
});
const pgDumpProcesses = (): number[] =>
  execFileSync('ps', ['-A', '-o', 'pid=,ppid=,comm='])
    .toString()
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([, parent, name]) => Number(parent) === process.pid && name === 'pg_dump')
    .map(([pid]) => Number(pid));
const sessionsOf = async (applicationName: string): Promise<number> => {
  const { rows } = await withSession(target, { applicationName: 'test' }, (session) =>
    session.query<{ count: number }>(
      'select count(*)::int as count from pg_stat_activity where application_name = $1',
      [applicationName],
    ),
  );
  return rows[0]?.count ?? -1;
};

describe('a backup', () => {
  test('is a whole dump in the store, with its size and SHA-256, and reads back', async () => {
    const reports: { done: number; total: number }[] = [];
    const dump = await createBackup(request({ progress: (report) => reports.push(report) }));
    const content = await readFile(path.join(directory, key));
    expect(dump.bytes).toBe(content.byteLength);
    expect(dump.sha256).toBe(createHash('sha256').update(content).digest('hex'));
    expect(dump.source.serverVersion).toMatch(/^\d+\.\d+$/);
    expect(dump.source.lastMigration).toBeNull();
    expect(reports.at(-1)?.done).toBe(dump.bytes);
    expect(reports.every((report) => report.total >= report.done)).toBe(true);
    await verify(dump);
    const pgRestore = path.join(dump.programs.directory, 'pg_restore');
    const listed = execFileSync(pgRestore, ['--list', path.join(directory, key)]);
    expect(listed.toString()).toContain('TABLE DATA public Order');
  });

  test('names the last migration that it holds', async () => {
    const other = await createDatabase();
    const otherTarget = parseTarget(other.url);
    await withSession(otherTarget, { applicationName: 'test' }, (session) =>
      session.query(`create table _prisma_migrations (migration_name text, started_at timestamptz, finished_at timestamptz, rolled_back_at timestamptz);
        insert into _prisma_migrations values ('1_first', now(), now(), null), ('2_second', now(), now() + interval '1s', null),
          ('3_failed', now(), null, null), ('4_rolled_back', now(), now() + interval '2s', now())`),
    );
    const dump = await createBackup(request({ target: otherTarget }));
    expect(dump.source.lastMigration).toBe('2_second');
    await other.drop();
  });

  test('that was cut in half cannot be read back, though pg_restore --list passes it', async () => {
    const dump = await createBackup(request());
    const file = path.join(directory, key);
    await truncate(file, Math.floor(dump.bytes / 2));
    execFileSync(path.join(dump.programs.directory, 'pg_restore'), ['--list', file]);
    await expect(verify(dump)).rejects.toMatchObject({
      code: 'BACKUP_UNREADABLE',
      message: expect.stringContaining('end of file'),
    });
  });

  test('with one flipped byte in its rows cannot be read back', async () => {
    const dump = await createBackup(request());
    const content = await readFile(path.join(directory, key));
    const middle = Math.floor(content.byteLength / 2);
    content.writeUInt8(content.readUInt8(middle) ^ 1, middle);
    await writeFile(path.join(directory, key), content);
    await expect(verify(dump)).rejects.toMatchObject({ code: 'BACKUP_UNREADABLE' });
  });

  test('with a byte changed where pg_restore does not look is recognised by its SHA-256', async () => {
    const dump = await createBackup(request());
    const content = await readFile(path.join(directory, key));
    const at = content.indexOf(`${dump.programs.version}`);
    content.write('9', at);
    await writeFile(path.join(directory, key), content);
    await expect(verify(dump)).rejects.toMatchObject({
      code: 'BACKUP_UNREADABLE',
      message: expect.stringContaining('SHA-256'),
    });
  });

  test('whose object has gone is told as missing', async () => {
    const dump = await createBackup(request());
    await store.remove(key);
    await expect(verify(dump)).rejects.toMatchObject({ code: 'BACKUP_NOT_FOUND' });
  });

  test('whose pg_dump is killed in the middle fails and leaves nothing', async () => {
    const killing = pausingStore(async () => {
      const pids = pgDumpProcesses();
      expect(pids).toHaveLength(1);
      for (const pid of pids) process.kill(pid, 'SIGKILL');
    });
    await expect(createBackup(request({ store: killing }))).rejects.toMatchObject({
      code: 'BACKUP_FAILED',
      details: { killedBy: 'SIGKILL' },
    });
    expect(await filesIn(directory)).toEqual([]);
  });

  test('whose server session is ended in the middle fails and leaves nothing', async () => {
    const ending = pausingStore(async () => {
      await run(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'switchback:backup:test' and datname = current_database()",
      );
    });
    await expect(createBackup(request({ store: ending }))).rejects.toMatchObject({ code: 'BACKUP_FAILED' });
    expect(await filesIn(directory)).toEqual([]);
  });

  test('that is cancelled ends pg_dump and leaves nothing', async () => {
    const abort = new AbortController();
    const cancelling = pausingStore(async () => abort.abort(new Error('cancelled by a test')));
    await expect(createBackup(request({ store: cancelling, signal: abort.signal }))).rejects.toThrow(
      'cancelled by a test',
    );
    expect(pgDumpProcesses()).toEqual([]);
    expect(await filesIn(directory)).toEqual([]);
    await waitFor(async () => (await sessionsOf('switchback:backup:test')) === 0, { timeoutMs: 10_000 });
  });

  test('for which the store has no room says so, ends pg_dump and leaves nothing', async (context) => {
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=512k', 'tmpfs', directory], { stdio: 'pipe' });
    } catch {
      context.skip('this user may not mount a small file system');
    }
    try {
      await expect(createBackup(request())).rejects.toMatchObject({ code: 'STORE_FULL' });
      expect(pgDumpProcesses()).toEqual([]);
      expect(await filesIn(directory)).toEqual([]);
    } finally {
      execFileSync('umount', [directory]);
    }
  });

  test('that waits too long for a locked table names the table and who holds it', async () => {
    await withSession(target, { applicationName: 'an-application' }, async (session) => {
      await session.query('begin; lock table "Order" in access exclusive mode');
      await expect(createBackup(request({ lockWaitSeconds: 1 }))).rejects.toMatchObject({
        code: 'BACKUP_FAILED',
        message: expect.stringMatching(/public\."Order" \(locked by process \d+, "an-application"/),
      });
    });
    expect(await filesIn(directory)).toEqual([]);
  });

  test('hands the password over in the environment only', async () => {
    const seen: string[] = [];
    const looking = pausingStore(async () => {
      for (const pid of pgDumpProcesses())
        seen.push(execFileSync('ps', ['-o', 'args=', '-p', String(pid)]).toString());
    });
    const secret = 'a-password-that-nobody-asks-for';
    const environment = { ...target.libpqEnvironment };
    const password = environment.PGPASSWORD === '' ? secret : environment.PGPASSWORD;
    await createBackup(
      request({
        store: looking,
        target: { ...target, libpqEnvironment: { ...environment, PGPASSWORD: password ?? secret } },
      }),
    );
    expect(seen).toHaveLength(1);
    expect(seen[0]).toContain('--format=custom');
    expect(seen[0]).not.toContain(password ?? secret);
  });

  test.runIf(availableMajors.includes(18))(
    'of a server that is newer than pg_dump is refused with the command that installs a fitting one',
    async () => {
      const { programs } = await createBackup(request());
      const server = await startServer(18);
      try {
        const refused = createBackup(
          request({
            target: parseTarget(server.url('postgres')),
            programPlaces: { directory: programs.directory, searchPath: [] },
          }),
        );
        if (programs.major >= 18) await refused;
        else
          await expect(refused).rejects.toMatchObject({
            code: 'PROGRAM_TOO_OLD',
            message: expect.stringContaining('18'),
            details: { serverMajor: 18, command: expect.stringContaining('18') },
          });
      } finally {
        await server.stop();
      }
    },
  );
});
