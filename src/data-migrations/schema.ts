import type { Session } from '../db/session.ts';
import { AppError } from '../errors.ts';

/**
 * Also in docs/operations.md, for whoever has to run it by hand. Where a data migration stands, in the database that it
 * writes: a batch and its cursor are one transaction. `data_guard` is in the database that it reads.
 */
export const createDataMigrationsSql = `
    create schema if not exists switchback;
    revoke all on schema switchback from public;
    create table if not exists switchback.data_migration (
      id uuid primary key,
      name text not null,
      kind text not null,
      spec jsonb not null,
      code text,
      relation oid not null,
      state text not null default 'running' check (state in ('running', 'written', 'finished', 'cancelled')),
      paused boolean not null default false,
      epoch integer not null default 0,
      control integer not null default 0,
      parallelism integer not null check (parallelism > 0),
      pace jsonb not null,
      limits jsonb not null,
      estimate bigint,
      total bigint,
      started_at timestamptz not null default pg_catalog.clock_timestamp(),
      ended_at timestamptz
    );
    create unique index if not exists data_migration_relation on switchback.data_migration (relation) where ended_at is null;
    create table if not exists switchback.data_range (
      number bigint primary key generated always as identity,
      migration uuid not null references switchback.data_migration on delete cascade,
      epoch integer not null,
      after text[],
      through text[],
      previous text[],
      done boolean not null default false,
      settled boolean not null default true,
      batches integer not null default 0,
      scanned bigint not null default 0,
      changed bigint not null default 0
    );
    create index if not exists data_range_migration on switchback.data_range (migration);
    create table if not exists switchback.data_quarantine (
      id bigint primary key generated always as identity,
      migration uuid not null references switchback.data_migration on delete cascade,
      key text[] not null,
      error jsonb not null,
      state text not null default 'open' check (state in ('open', 'unsettled', 'mended')),
      tries integer not null default 1,
      found_at timestamptz not null default pg_catalog.clock_timestamp(),
      settled_at timestamptz,
      unique (migration, key)
    );
    create table if not exists switchback.data_guard (
      relation oid primary key,
      migration uuid not null,
      name text not null,
      through text[],
      snapshot pg_snapshot not null default pg_catalog.pg_current_snapshot()
    );
    revoke all on all tables in schema switchback from public`;

/** Whether there has ever been a data migration in this database. */
export async function hasDataMigrations(session: Session): Promise<boolean> {
  const { rows } = await session.query<{ present: boolean }>(
    "select pg_catalog.to_regclass('switchback.data_guard') is not null as present",
  );
  return rows[0]?.present === true;
}

/** Held while the tables are made: two that make them at once would be in each other's way. */
const creationLock = 7410_2026_0002;

/**
 * In a transaction.
 * @throws AppError `PERMISSION_DENIED` with what to do
 */
export async function ensureDataMigrations(session: Session): Promise<void> {
  if (await hasDataMigrations(session)) return;
  await session.query('select pg_catalog.pg_advisory_xact_lock($1)', [creationLock]);
  if (await hasDataMigrations(session)) return;
  try {
    await session.query(createDataMigrationsSql);
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'PERMISSION_DENIED') throw error;
    throw new AppError(
      'PERMISSION_DENIED',
      `The tables in which a data migration keeps its place could not be made: ${error.message} ` +
        'Nothing was done. Let somebody who may create a schema run the SQL for it in docs/operations.md, or GRANT CREATE ON DATABASE to the role.',
      { ...error.details, reason: undefined },
      { cause: error },
    );
  }
}
