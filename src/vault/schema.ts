import type { Session } from '../db/session.ts';
import { AppError } from '../errors.ts';

/** The schema in the target where removed data is kept. It gives PUBLIC nothing. */
export const vaultSchema = 'switchback_vault';

/**
 * Also in docs/operations.md, for whoever has to run it by hand. Makes the vault where it is not there yet; it does no harm where it is. `entry` has a line for everything that was
 * saved, `conflict` what could not be put back. The data itself is in one relation for each entry.
 */
export const createVaultSql = `
    create schema if not exists ${vaultSchema};
    revoke all on schema ${vaultSchema} from public;
    create table if not exists ${vaultSchema}.entry (
      id uuid primary key,
      number bigint not null generated always as identity,
      operation text not null,
      migration text not null,
      direction text not null check (direction in ('forth', 'back')),
      statement integer not null,
      kind text not null check (kind in ('table', 'column', 'values', 'label', 'rows', 'changes', 'sequence')),
      schema_name text not null,
      table_name text not null,
      column_names text[] not null default '{}',
      key_columns text[],
      relation text,
      facts jsonb not null default '{}',
      rows bigint not null default 0,
      bytes bigint not null default 0,
      saved_at timestamptz not null default pg_catalog.clock_timestamp(),
      keep_until timestamptz not null,
      state text not null default 'kept' check (state in ('kept', 'restored', 'removed'))
    );
    create table if not exists ${vaultSchema}.conflict (
      id bigint primary key generated always as identity,
      entry uuid not null references ${vaultSchema}.entry on delete cascade,
      reason text not null,
      detail text not null,
      kept jsonb,
      found_at timestamptz not null default pg_catalog.clock_timestamp()
    );
    create index if not exists conflict_entry on ${vaultSchema}.conflict (entry);
    revoke all on all tables in schema ${vaultSchema} from public`;

export async function vaultExists(session: Session): Promise<boolean> {
  const { rows } = await session.query<{ present: boolean }>(
    'select pg_catalog.to_regclass($1) is not null as present',
    [`${vaultSchema}.conflict`],
  );
  return rows[0]?.present === true;
}

/** Within the transaction that saves first: without it, nothing of the vault is left either. */
export async function ensureVault(session: Session): Promise<void> {
  if (await vaultExists(session)) return;
  try {
    await session.query(createVaultSql);
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'PERMISSION_DENIED') throw error;
    throw new AppError(
      'PERMISSION_DENIED',
      `The vault, which keeps what the statement removes, could not be made: ${error.message} ` +
        'The transaction was rolled back. Let somebody who may create a schema run the SQL for it in docs/operations.md, or GRANT CREATE ON DATABASE to the role.',
      { ...error.details, reason: undefined },
      { cause: error },
    );
  }
}
