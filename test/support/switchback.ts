import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import path from 'node:path';
import pino from 'pino';
import { inject } from 'vitest';
import { openStore } from '../../src/backups/stores/index.ts';
import { type Config, configSchema } from '../../src/config.ts';
import { openControl } from '../../src/db/control/control.ts';
import type { JobDependencies } from '../../src/jobs/dependencies.ts';
import { openQueue } from '../../src/jobs/queue.ts';
import { borrowAnalyst } from './analyst.ts';
import { createControlDatabase } from './control.ts';

export interface TestSwitchback {
  readonly deps: JobDependencies;
  readonly controlUrl: string;
  readonly queueUrl: string;
  /** Of the queue's keys, or its schema. */
  readonly prefix: string;
  readonly directory: string;
  close(): Promise<void>;
}

/** Opens what jobs need on a control database of its own; the queue is on the same database unless a URL is given. */
export async function openSwitchback(
  settings: Record<string, unknown> = {},
  options: { queueUrl?: string; controlUrl?: string } = {},
): Promise<TestSwitchback> {
  const directory = mkdtempSync(path.join(inject('runFolder'), 'switchback-'));
  const database =
    options.controlUrl === undefined
      ? await createControlDatabase()
      : { url: options.controlUrl, drop: () => Promise.resolve() };
  const parsed = configSchema.parse({
    backups: { store: { type: 'file', directory: path.join(directory, 'backups') } },
    ...settings,
  });
  const config: Config = { ...parsed, file: null };
  const prefix = `t${randomUUID().slice(0, 8)}`;
  const control = await openControl(database.url);
  const queue = await openQueue({
    url: options.queueUrl ?? database.url,
    prefix,
  });
  const store = await openStore(config.backups.store);
  const log = pino({ level: process.env.TEST_LOG ?? 'silent' });
  const analyst = await borrowAnalyst(config.analysis.rules);
  return {
    deps: { config, control, queue, store, analyst, log },
    controlUrl: database.url,
    queueUrl: options.queueUrl ?? database.url,
    prefix,
    directory,
    async close() {
      await analyst.close();
      await queue.close();
      await control.close();
      await database.drop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
