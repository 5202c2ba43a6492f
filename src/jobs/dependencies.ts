import type { Logger } from 'pino';
import type { BackupStore } from '../backups/stores/define-store.ts';
import type { Config } from '../config.ts';
import type { Control } from '../db/control/control.ts';
import type { Analyst } from './analysis/analyst.ts';
import type { JobQueue } from './queue.ts';

/** What jobs work with. Opened once per process, and passed on. */
export interface JobDependencies {
  readonly config: Config;
  readonly control: Control;
  readonly queue: JobQueue;
  readonly store: BackupStore;
  readonly analyst: Analyst;
  readonly log: Logger;
}
