import { execFile } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { openControl } from '../src/db/control/control.ts';
import { waitFor } from '../test/support/wait.ts';
import { defineBench, type Measurement } from './define-bench.ts';
import { startSwitchback, withPlace } from './place.ts';

const jobs = 1_000;
const callers = 8;
const settleMs = 3_000;

export const memory = defineBench({
  name: 'memory',
  summary: `resident memory at rest, after ${jobs.toLocaleString('en')} jobs, and after as many again`,
  run: () =>
    withPlace(async (place) => {
      const controlUrl = await place.createDatabase();
      const databases = { orders: await place.createDatabase() };
      const switchback = await startSwitchback(place, { controlUrl, databases });
      const control = await openControl(controlUrl);
      try {
        const processes = { API: switchback.api, worker: await switchback.startWorker() };
        const sizes = async (): Promise<number[]> => {
          await pause(settleMs);
          return Promise.all(Object.values(processes).map(({ pid }) => residentMegabytes(pid)));
        };
        const runJobs = async (): Promise<void> => {
          await ask(`${switchback.url}/api/health-checks`, switchback.headers);
          const unfinished = () =>
            control.prisma.job.count({ where: { state: { in: ['queued', 'running'] } } });
          await waitFor(async () => (await unfinished()) === 0, { what: 'the jobs', timeoutMs: 300_000 });
        };
        const atRest = await sizes();
        await runJobs();
        const after = await sizes();
        await runJobs();
        const afterMore = await sizes();
        return Object.keys(processes).flatMap((name, index) => {
          const reference = { what: 'at rest', value: atRest[index] ?? 0 };
          const figure = (what: string, value: number | undefined): Measurement => ({
            what: `${name}, ${what}`,
            value: value ?? 0,
            unit: 'MB',
            reference,
          });
          return [
            figure(`after ${jobs} jobs`, after[index]),
            figure(`after ${2 * jobs} jobs`, afterMore[index]),
          ];
        });
      } finally {
        await control.close();
        await switchback.stop();
      }
    }),
});

async function ask(url: string, headers: Readonly<Record<string, string>>): Promise<void> {
  let left = jobs;
  await Promise.all(
    Array.from({ length: callers }, async () => {
      while (left > 0) {
        left -= 1;
        const { status } = await fetch(url, { method: 'POST', headers, body: '{}' });
        if (status !== 202) throw new Error(`${url} answered ${status}`);
      }
    }),
  );
}

async function residentMegabytes(pid: number): Promise<number> {
  const { stdout } = await promisify(execFile)('ps', ['-o', 'rss=', '-p', String(pid)]);
  return Number(stdout) / 1_024;
}
