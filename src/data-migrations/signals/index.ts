import type { Signal } from '../define-signal.ts';
import { applicationLatency } from './application-latency.ts';
import { checkpoints } from './checkpoints.ts';
import { connections } from './connections.ts';
import { deadlocks } from './deadlocks.ts';
import { disk } from './disk.ts';
import { lockWaits } from './lock-waits.ts';
import { replication } from './replication.ts';
import { slots } from './slots.ts';
import { statementLatency } from './statement-latency.ts';
import { timeWindow } from './time-window.ts';
import { walRate } from './wal-rate.ts';

export const signals: readonly Signal[] = [
  replication,
  slots,
  lockWaits,
  deadlocks,
  statementLatency,
  applicationLatency,
  walRate,
  checkpoints,
  disk,
  connections,
  timeWindow,
];
