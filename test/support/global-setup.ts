import { randomUUID } from 'node:crypto';
import type { TestProject } from 'vitest/node';
import { withSession } from '../../src/db/session.ts';
import { parseTarget } from '../../src/db/target.ts';
import { prepareControl } from '../../src/jobs/prepare-control.ts';
import { startServer } from './postgres.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** URL of the run's server, without a database. */
    serverUrl: string;
    /** A control database that was prepared once, to be cloned. */
    controlTemplate: string;
  }
}

/** One embedded PostgreSQL 15 for the whole run; every test makes databases of its own in it. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const server = await startServer(15, { max_connections: '300' });
  const controlTemplate = `control_${randomUUID().slice(0, 8)}`;
  await withSession(parseTarget(server.url('postgres')), { applicationName: 'test:setup' }, (session) =>
    session.query(`create database ${controlTemplate}`),
  );
  await prepareControl(server.url(controlTemplate), new AbortController().signal);
  project.provide('serverUrl', server.url(''));
  project.provide('controlTemplate', controlTemplate);
  return () => server.stop();
}
