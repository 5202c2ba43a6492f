import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { v7 as newId } from 'uuid';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { backUpDatabase, findYoungVerifiedBackup } from '../../src/backups/back-up-database.ts';
import { withSession } from '../../src/db/session.ts';
import { parseTarget } from '../../src/db/target.ts';
import { databaseOf } from '../../src/jobs/databases.ts';
import { backup } from '../../src/jobs/kinds/backup.ts';
import { createDatabase } from '../support/postgres.ts';
import { openWorkplace, type Workplace } from './workplace.ts';

let database: Awaited<ReturnType<typeof createDatabase>>;
let workplace: Workplace;

beforeAll(async () => {
  database = await createDatabase();
  await withSession(parseTarget(database.url), { applicationName: 'test' }, (session) =>
    session.query(
      'create table item as select n as id, md5(n::text) as note from generate_series(1, 5000) as n',
    ),
  );
  workplace = await openWorkplace({ orders: database.url });
});
afterAll(async () => {
  await workplace.close();
  await database.drop();
});

const filesIn = async (place: string): Promise<string[]> => {
  const entries = await readdir(place, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => entry.name);
};
const recordOf = (jobId: string) =>
  workplace.deps.control.prisma.backup.findUniqueOrThrow({ where: { jobId } });

describe('a backup job', () => {
  test('dumps, reads back, and only then calls the backup verified', async () => {
    const job = await workplace.work(backup, {}, 'orders');
    expect(job).toMatchObject({ state: 'succeeded', percent: 100, error: null });
    const record = await recordOf(job.id);
    expect(record).toMatchObject({
      state: 'verified',
      database: 'orders',
      requestedBy: 'a-tester',
      key: `orders/${record.id}.dump`,
      sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    expect(record.verifiedAt).not.toBeNull();
    const beside = await readFile(path.join(workplace.directory, 'orders', `${record.id}.json`), 'utf8');
    expect(JSON.parse(beside)).toEqual(record.manifest);
    expect(record.manifest).toMatchObject({
      database: 'orders',
      bytes: Number(record.bytes),
      sha256: record.sha256,
      requestedBy: 'a-tester',
      jobId: job.id,
      lastMigration: null,
      verification: { method: 'read back' },
    });
    expect(job.result).toMatchObject({ backupId: record.id, bytes: Number(record.bytes) });
    const steps = job.events.filter((event) => event.type === 'step-finished');
    expect(steps.map((event) => (event.body as { step: string }).step)).toEqual(['dump', 'verify']);
    expect(job.events.some((event) => event.type === 'progress')).toBe(true);
    expect(JSON.stringify(job.events)).not.toContain(
      parseTarget(database.url).libpqEnvironment.PGPASSWORD || '\0',
    );
  });

  test('that fails says so in its record, and leaves nothing in the store', async () => {
    const before = await filesIn(workplace.directory);
    const job = await withSession(parseTarget(database.url), { applicationName: 'test' }, async (session) => {
      await session.query('begin; lock table item in access exclusive mode');
      return workplace.work(backup, {}, 'orders');
    });
    expect(job).toMatchObject({ state: 'failed', error: { code: 'BACKUP_FAILED' } });
    expect(await recordOf(job.id)).toMatchObject({
      state: 'failed',
      verifiedAt: null,
      error: { code: 'BACKUP_FAILED', detail: expect.stringContaining('public.item') },
    });
    expect(await filesIn(workplace.directory)).toEqual(before);
  });
});

describe('backing up for another job', () => {
  const request = (jobId: string) => ({
    control: workplace.deps.control,
    store: workplace.deps.store,
    config: workplace.deps.config,
    database: databaseOf(workplace.deps.config, 'orders'),
    jobId,
    requestedBy: 'a-tester',
    signal: new AbortController().signal,
    phase: <T>(_: string, work: (progress: () => void) => Promise<T>) => work(() => undefined),
  });
  const insertJob = async (): Promise<string> => {
    const id = newId();
    await workplace.deps.control.prisma.job.create({
      // Not queued: no worker is meant to take it.
      data: {
        id,
        kind: 'deployment',
        queue: 'operations',
        state: 'running',
        payload: {},
        requestedBy: 'a-tester',
        heartbeatAt: new Date(Date.now() + 3_600_000),
      },
    });
    return id;
  };

  test('makes a record; asked again for the same job it writes no second one over it', async () => {
    const jobId = await insertJob();
    const first = await backUpDatabase(request(jobId));
    expect(first).toMatchObject({ state: 'verified', jobId });
    const again = await backUpDatabase(request(jobId));
    expect(again).toEqual(first);
  });

  test('finds a verified backup that is young enough, and no other', async () => {
    const { control } = workplace.deps;
    const { id } = await backUpDatabase(request(await insertJob()));
    expect((await findYoungVerifiedBackup(control, 'orders', 10))?.id).toBe(id);
    expect(await findYoungVerifiedBackup(control, 'billing', 10)).toBeNull();
    await control.prisma.backup.update({ where: { id }, data: { state: 'failed' } });
    expect((await findYoungVerifiedBackup(control, 'orders', 10))?.id).not.toBe(id);
    const hourAgo = new Date(Date.now() - 3_600_000);
    await control.prisma.backup.updateMany({ data: { createdAt: hourAgo } });
    expect(await findYoungVerifiedBackup(control, 'orders', 10)).toBeNull();
    expect(await findYoungVerifiedBackup(control, 'orders', 70)).not.toBeNull();
  });
});
