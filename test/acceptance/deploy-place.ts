/** A registered database with migrations of one's own, and Switchback to deploy them. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { withSession } from '../../src/db/session.ts';
import { parseTarget } from '../../src/db/target.ts';
import type { JobKind } from '../../src/jobs/define-job.ts';
import { enqueue } from '../../src/jobs/enqueue.ts';
import { openEventTails } from '../../src/jobs/events.ts';
import { type Job, waitForJob } from '../../src/jobs/jobs.ts';
import { deployment } from '../../src/jobs/kinds/deployment.ts';
import { storeWayBack } from '../../src/jobs/rollbacks/way-back.ts';
import { checksum } from '../../src/migrations/checksum.ts';
import { openSwitchback, type TestSwitchback } from '../support/switchback.ts';
import { waitFor } from '../support/wait.ts';

export interface DeployPlace {
  readonly switchback: TestSwitchback;
  readonly url: string;
  readonly migrations: string;
  write(files: Readonly<Record<string, string>>): void;
  /** Writes the `rollback.sql` of a migration that is written, and records it as proven, without trying it. */
  rehearsed(migration: string, sql: string): Promise<void>;
  query<Row extends object>(sql: string): Promise<Row[]>;
  /** Asks for a deployment; returns its job. */
  deploy(): Promise<string>;
  ask<Payload>(kind: JobKind<string, Payload>, payload: Payload): Promise<string>;
  finished(jobId: string, seconds?: number): Promise<Job>;
  /** Waits until a statement with this text runs in the target, and nowhere else. */
  running(text: string): Promise<void>;
  startWorkerProcess(): Promise<ChildProcess>;
  close(): Promise<void>;
}

export async function openDeployPlace(
  url: string,
  options: {
    settings?: Record<string, unknown>;
    policy?: Record<string, unknown>;
    scratchUrl?: string;
    queueUrl?: string;
    controlUrl?: string;
    healthUrls?: readonly string[];
  } = {},
): Promise<DeployPlace> {
  const opened = await openSwitchback(
    {
      ...options.settings,
      databases: [
        {
          name: 'orders',
          url,
          migrations: '/set-below',
          // Statements that fail are to fail where the test wants them to.
          policy: { rehearsal: { never: 'tested elsewhere' }, ...options.policy },
          ...(options.scratchUrl === undefined ? {} : { scratchUrl: options.scratchUrl }),
          healthUrls: options.healthUrls ?? [],
        },
      ],
    },
    {
      ...(options.queueUrl === undefined ? {} : { queueUrl: options.queueUrl }),
      ...(options.controlUrl === undefined ? {} : { controlUrl: options.controlUrl }),
    },
  );
  const migrations = path.join(opened.directory, 'migrations');
  const databases = opened.deps.config.databases.map((database) => ({ ...database, migrations }));
  const config = { ...opened.deps.config, databases };
  const switchback: TestSwitchback = { ...opened, deps: { ...opened.deps, config } };
  mkdirSync(migrations);
  writeFileSync(path.join(migrations, 'migration_lock.toml'), 'provider = "postgresql"\n');
  const query = <Row extends object>(sql: string): Promise<Row[]> =>
    withSession(
      parseTarget(url),
      { applicationName: 'test' },
      async (session) => (await session.query<Row>(sql)).rows,
    );
  const children: ChildProcess[] = [];
  const ask = async <Payload>(kind: JobKind<string, Payload>, payload: Payload): Promise<string> =>
    (await enqueue(switchback.deps, { kind, database: 'orders', payload, requestedBy: 'ci' })).jobId;
  return {
    switchback,
    url,
    migrations,
    query,
    ask,
    write(files) {
      for (const [name, sql] of Object.entries(files)) {
        mkdirSync(path.join(migrations, name), { recursive: true });
        writeFileSync(path.join(migrations, name, 'migration.sql'), sql);
      }
    },
    async rehearsed(migration, sql) {
      const folder = path.join(migrations, migration);
      writeFileSync(path.join(folder, 'rollback.sql'), sql);
      const text = checksum(readFileSync(path.join(folder, 'migration.sql')));
      await storeWayBack(
        switchback.deps.control,
        {
          ...{ migration, checksum: text, source: 'rollback.sql', sql, outcome: 'proven' },
          ...{ provenOn: 'schema', reasons: [], compared: null },
        },
        { database: 'orders', jobId: randomUUID(), deploymentId: null },
      );
    },
    deploy: () => ask(deployment, { allow: [] }),
    async finished(jobId, seconds = 50) {
      const tails = openEventTails(switchback.deps.control);
      try {
        return await waitForJob({ control: switchback.deps.control, tails }, jobId, {
          seconds,
          signal: new AbortController().signal,
        });
      } finally {
        tails.close();
      }
    },
    async running(text) {
      const sql = `select 1 from pg_stat_activity where datname = current_database() and state = 'active' and query like '%${text}%' and pid <> pg_backend_pid()`;
      await waitFor(async () => (await query(sql)).length > 0, { what: `a running "${text}"` });
    },
    async startWorkerProcess() {
      const { controlUrl, queueUrl, prefix } = switchback;
      const input = JSON.stringify({ config, controlUrl, queueUrl, prefix });
      const script = path.join(import.meta.dirname, 'worker-process.ts');
      const child = spawn(process.execPath, ['--import', 'tsx', script, input], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      children.push(child);
      await once(child.stdout, 'data');
      return child;
    },
    async close() {
      for (const child of children) child.kill('SIGKILL');
      await switchback.close();
    },
  };
}
