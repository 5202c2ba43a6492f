/** A worker in a process of its own, to be killed. Arguments: control database, queue, prefix. */
import { tmpdir } from 'node:os';
import path from 'node:path';
import pino from 'pino';
import { openStore } from '../../src/backups/stores/index.ts';
import { configSchema } from '../../src/config.ts';
import { openControl } from '../../src/db/control/control.ts';
import { openAnalyst } from '../../src/jobs/analysis/analyst.ts';
import { openQueue } from '../../src/jobs/queue.ts';
import { startWorker } from '../../src/jobs/worker.ts';
import { kinds } from './kinds.ts';

const [controlUrl = '', queueUrl = '', prefix = ''] = process.argv.slice(2);
const log = pino({ level: 'silent' });
await startWorker(
  {
    config: { ...configSchema.parse({}), file: null },
    control: await openControl(controlUrl),
    queue: await openQueue({ url: queueUrl, prefix }),
    store: await openStore({ type: 'file', directory: path.join(tmpdir(), prefix) }),
    analyst: await openAnalyst({ log }),
    log,
  },
  { kinds, heartbeatMs: 100, staleMs: 1_000, repairMs: 60_000 },
);
process.stdout.write('working\n');
