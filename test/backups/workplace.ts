/** A worker with a real control database, queue and store, for the tests of job kinds. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { JobKind } from '../../src/jobs/define-job.ts';
import type { JobDependencies } from '../../src/jobs/dependencies.ts';
import { enqueue } from '../../src/jobs/enqueue.ts';
import { startWorker } from '../../src/jobs/worker.ts';
import { openSwitchback } from '../support/switchback.ts';
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
  const directory = await mkdtemp(path.join(tmpdir(), 'switchback-workplace-'));
  const switchback = await openSwitchback({
    backups: { store: { type: 'file', directory }, lockWaitSeconds: 1 },
    databases: Object.entries(databases).map(([name, url]) => ({ name, url, migrations: 'none' })),
  });
  const { deps } = switchback;
  const worker = await startWorker(deps);
  return {
    deps,
    directory,
    async work(kind, payload, database) {
      const { jobId } = await enqueue(deps, { kind, database, payload, requestedBy: 'a-tester' });
      return waitFor(() => jobRow(deps, jobId), {
        until: (job) => ['succeeded', 'failed', 'cancelled'].includes(job.state),
        what: 'the end of the job',
      });
    },
    async close() {
      await worker.stop();
      await switchback.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
