/** A worker with the product's own kinds, in a process of its own, to be killed. Argument: what to open, as JSON. */
import pino from 'pino';
import { openStore } from '../../src/backups/stores/index.ts';
import type { Config } from '../../src/config.ts';
import { openControl } from '../../src/db/control/control.ts';
import { openAnalyst } from '../../src/jobs/analysis/analyst.ts';
import { openQueue } from '../../src/jobs/queue.ts';
import { startWorker } from '../../src/jobs/worker.ts';

export interface WorkerProcessInput {
  readonly config: Config;
  readonly controlUrl: string;
  readonly queueUrl: string;
  readonly prefix: string;
}

const input = JSON.parse(process.argv[2] ?? '') as WorkerProcessInput;
const log = pino({ level: 'silent' });
await startWorker(
  {
    config: input.config,
    control: await openControl(input.controlUrl),
    queue: await openQueue({ url: input.queueUrl, prefix: input.prefix }),
    store: await openStore(input.config.backups.store),
    analyst: await openAnalyst({ log }),
    log,
  },
  { heartbeatMs: 200, staleMs: 1_500, repairMs: 60_000 },
);
process.stdout.write('working\n');
