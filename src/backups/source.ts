/** Facts about the database that is backed up. */

import { qualify } from '../db/quote.ts';
import { type Session, withSession } from '../db/session.ts';
import type { Target } from '../db/target.ts';

export interface SourceFacts {
  readonly serverVersion: string;
  readonly serverMajor: number;
  readonly databaseBytes: number;
  readonly lastMigration: string | null;
}

/** @throws AppError `DATABASE_UNREACHABLE`, `PERMISSION_DENIED` */
export function readSourceFacts(target: Target, applicationName: string): Promise<SourceFacts> {
  return withSession(target, { applicationName, doing: 'preparing a backup' }, async (session) => {
    const { rows } = await session.query<{
      version: string;
      number: number;
      bytes: string;
      history: boolean;
    }>(
      `select pg_catalog.current_setting('server_version') as version,
              pg_catalog.current_setting('server_version_num')::int as number,
              pg_catalog.pg_database_size(pg_catalog.current_database()) as bytes,
              pg_catalog.to_regclass($1) is not null as history`,
      [qualify(target.schema, '_prisma_migrations')],
    );
    const [facts] = rows;
    return {
      serverVersion: facts?.version.split(' ')[0] ?? '',
      serverMajor: Math.floor((facts?.number ?? 0) / 10_000),
      databaseBytes: Number(facts?.bytes ?? 0),
      lastMigration: facts?.history === true ? await readLastMigration(session, target.schema) : null,
    };
  });
}

async function readLastMigration(session: Session, schema: string): Promise<string | null> {
  const { rows } = await session.query<{ name: string }>(
    `select migration_name as name from ${qualify(schema, '_prisma_migrations')}
      where finished_at is not null and rolled_back_at is null
      order by finished_at desc, migration_name desc limit 1`,
  );
  return rows[0]?.name ?? null;
}

/** One session that keeps pg_dump from reading a table. */
export interface Blocker {
  readonly table: string;
  readonly pid: number;
  readonly application: string;
  readonly state: string;
}

/** Who holds, or waits for, a lock that shuts out readers. pg_dump asks for many tables at once, so its error does not say. */
export function findBlockers(target: Target, applicationName: string): Promise<Blocker[]> {
  return withSession(
    target,
    { applicationName, doing: 'looking for what blocks the backup' },
    async (session) => {
      const { rows } = await session.query<Blocker>(
        `select distinct on (namespace.nspname, class.relname)
                pg_catalog.format('%I.%I', namespace.nspname, class.relname) as table,
                held.pid, coalesce(activity.application_name, '') as application,
                coalesce(activity.state, '') as state
           from pg_catalog.pg_locks as held
           join pg_catalog.pg_class as class on class.oid = held.relation and class.relkind in ('r', 'p')
           join pg_catalog.pg_namespace as namespace on namespace.oid = class.relnamespace
           left join pg_catalog.pg_stat_activity as activity on activity.pid = held.pid
          where held.database = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database())
            and held.mode = 'AccessExclusiveLock'
          order by namespace.nspname, class.relname, held.granted desc`,
      );
      return rows;
    },
  );
}
