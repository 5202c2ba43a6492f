import { inject } from 'vitest';
import { prepareControl } from '../../src/jobs/prepare-control.ts';
import { createDatabase, onShared, type TestDatabase, urlOf } from './postgres.ts';

const template = 'control_template';

/** A control database with Switchback's tables, empty. */
export async function createControlDatabase(): Promise<TestDatabase> {
  await prepareTemplate();
  return createDatabase({ template });
}

/** Once per run; test files of other processes wait for the first. */
async function prepareTemplate(): Promise<void> {
  await onShared(async (client) => {
    await client.query('select pg_advisory_lock(1)');
    const { rowCount } = await client.query('select from pg_database where datname = $1', [template]);
    if (rowCount === 1) return;
    const unfinished = `${template}_unfinished`;
    await client.query(`drop database if exists ${unfinished}`);
    await client.query(`create database ${unfinished} template template0`);
    await prepareControl(urlOf(inject('postgresUrl'), unfinished), new AbortController().signal);
    await client.query(`alter database ${unfinished} allow_connections false`);
    await client.query(`alter database ${unfinished} rename to ${template}`);
  });
}
