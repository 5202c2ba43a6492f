/** Databases with the schema of base.sql, on the majors that are tested. */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import pg from 'pg';
import { inject } from 'vitest';
import { type Session, withSession } from '../../src/db/session.ts';
import { parseTarget } from '../../src/db/target.ts';
import {
  availableMajors,
  createDatabase,
  type Major,
  startServer,
  type TestDatabase,
  urlOf,
} from '../support/postgres.ts';

export const tested: readonly Major[] = ([15, 18] as const).filter((major) =>
  availableMajors.includes(major),
);

export const baseSql = readFileSync(path.join(import.meta.dirname, 'base.sql'), 'utf8');

export interface SchemaServer {
  /** A new database with this schema. */
  make(sql?: string): Promise<TestDatabase>;
  /** A copy of a database that nobody is connected to. */
  copy(of: TestDatabase): Promise<TestDatabase>;
  close(): Promise<void>;
}

/** The run's server where it is of that major, else one of its own. */
export async function openServer(major: Major): Promise<SchemaServer> {
  const server = major === 15 ? null : await startServer(major);
  const made: TestDatabase[] = [];
  const admin = server?.url() ?? inject('postgresUrl');
  return {
    async copy(of) {
      const name = `test_copy_${randomUUID().replaceAll('-', '')}`;
      await execute(admin, `create database ${name} template ${of.name} strategy file_copy`);
      const drop = (): Promise<void> => execute(admin, `drop database ${name} with (force)`);
      const database = { name, url: urlOf(admin, name), drop };
      made.push(database);
      return database;
    },
    async make(sql = '') {
      const database = await (server === null ? createDatabase() : server.createDatabase());
      made.push(database);
      await execute(database.url, sql);
      return database;
    },
    async close() {
      if (server !== null) return await server.stop('immediate');
      for (const database of made) await database.drop();
    },
  };
}

export async function execute(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}

export const work = <T>(url: string, worker: (session: Session) => Promise<T>): Promise<T> =>
  withSession(parseTarget(url), { applicationName: 'test' }, worker);

/** What is done is taken back, whatever comes of it. */
export async function undone<T>(session: Session, worker: () => Promise<T>): Promise<T> {
  await session.query('begin');
  try {
    return await worker();
  } finally {
    await session.query('rollback');
  }
}
