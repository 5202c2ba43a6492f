/** A worker with a real control database, queue and store, for the tests of job kinds. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pino } from 'pino';
import { openStore } from '../../src/backups/stores/index.ts';
import { configSchema } from '../../src/config.ts';
import { openControl } from '../../src/db/control/control.ts';
import type { JobKind } from '../../src/jobs/define-job.ts';
import type { JobDependencies } from '../../src/jobs/dependencies.ts';
import { enqueue } from '../../src/jobs/enqueue.ts';
import { openQueue } from '../../src/jobs/queue.ts';
import { startWorker } from '../../src/jobs/worker.ts';
import { createControlDatabase } from '../support/control.ts';
import { waitFor } from '../support/wait.ts';

export interface Workplace {
  readonly deps: JobDependencies;
  /** Where the store keeps its files. */
  readonly directory: string;
  /** Asks for a job, waits until it is over, and returns its row. */
  work<Payload>(
    kind: JobKind<string, Payload>,
    payload: Payload,
    database: string | null,
  ): ReturnType<typeof jobRow>;
  close(): Promise<void>;
}

const jobRow = async (deps: JobDependencies, id: string) =>
  deps.control.prisma.job.findUniqueOrThrow({
    where: { id },
    include: { events: { orderBy: { number: 'asc' } } },
  });

/** @param databases URLs of the registered databases, by name */
export async function openWorkplace(databases: Readonly<Record<string, string>>): Promise<Workplace> {
  const controlDatabase = await createControlDatabase();
  const directory = await mkdtemp(path.join(tmpdir(), 'switchback-workplace-'));
  const { $schema: _, ...settings } = configSchema.parse({
    databases: Object.entries(databases).map(([name, url]) => ({ name, url, migrations: 'none' })),
    backups: { store: { type: 'file', directory }, lockWaitSeconds: 1 },
  });
  const config = { ...settings, file: null };
  const control = await openControl(controlDatabase.url);
  const queue = await openQueue({ url: controlDatabase.url, prefix: 'bullmq' });
  const store = await openStore(config.backups.store);
  const deps = { config, control, queue, store, log: pino({ level: 'silent' }) };
  const worker = await startWorker(deps);
  return {
    deps,
    directory,
    async work(kind, payload, database) {
      const { jobId } = await enqueue(deps, { kind, database, payload, requestedBy: 'a-tester' });
      const over = async (): Promise<boolean> =>
        ['succeeded', 'failed', 'cancelled'].includes((await jobRow(deps, jobId)).state);
      await waitFor(over, { timeoutMs: 20_000 });
      return jobRow(deps, jobId);
    },
    async close() {
      await worker.stop();
      await queue.close();
      await control.close();
      await controlDatabase.drop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
