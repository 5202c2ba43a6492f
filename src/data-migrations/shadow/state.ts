/** Where a shadow table stands: a row in the database that has it, written in the transaction that brings it there. */
import type { Session } from '../../db/session.ts';
import { AppError } from '../../errors.ts';
import { ensureDataMigrations } from '../schema.ts';

/**
 * - `mirrored`: what is written to the table is written to its shadow as well
 * - `swapped`: the shadow has the table's place; what is written to it is written to the old table as well
 * - `undone`: the old table has its place back
 * - `dropped`: the old table is gone
 */
export type ShadowState = 'mirrored' | 'swapped' | 'undone' | 'dropped';

/** A foreign key that has still to be validated. */
export interface Unvalidated {
  /** For SQL. */
  readonly table: string;
  readonly name: string;
}

/** What the old table needs to be again what it was, once it is back in its place. */
export interface WayBack {
  /** The vault's entry. */
  readonly entry: string;
  /** Names in the vault's schema of indexes and of sequences of identity columns, with those that they had. */
  readonly names: readonly {
    readonly kind: 'index' | 'sequence';
    readonly kept: string;
    readonly name: string;
  }[];
  /** What was taken off its columns, as SQL: defaults, and ALWAYS of identity columns. */
  readonly restore: readonly string[];
}

/** A column of one of the two tables, and the SQL expression over the other one that it is set to. */
export interface MappedColumn {
  readonly name: string;
  readonly value: string;
}

/** How rows of each table become rows of the other. */
export interface Columns {
  readonly key: readonly string[];
  /** Columns of the shadow, over those of the table. */
  readonly forth: readonly MappedColumn[];
  /** Columns of the table, over those of the shadow. */
  readonly back: readonly MappedColumn[];
  /** Columns of the shadow that are GENERATED ALWAYS AS IDENTITY once it has its place: an upsert cannot write to such. */
  readonly always: readonly string[];
}

export interface Shadow {
  readonly id: string;
  /** Of the data migration. */
  readonly name: string;
  /** The place that both tables have one after the other. */
  readonly schema: string;
  readonly table: string;
  readonly state: ShadowState;
  /** What the old table was made of when the shadow was made like it. */
  readonly form: string;
  readonly columns: Columns;
  readonly unvalidated: readonly Unvalidated[];
  readonly wayBack: WayBack | null;
}

/** Also in docs/operations.md, for whoever has to run it by hand. */
export const createShadowsSql = `
    create table if not exists switchback.shadow (
      id uuid primary key,
      name text not null,
      schema_name text not null,
      table_name text not null,
      state text not null check (state in ('mirrored', 'swapped', 'undone', 'dropped')),
      form text not null,
      columns jsonb not null,
      unvalidated jsonb not null default '[]',
      way_back jsonb,
      changed_at timestamptz not null default pg_catalog.clock_timestamp()
    );
    revoke all on switchback.shadow from public`;

/** In a transaction. @throws AppError `PERMISSION_DENIED` */
export async function ensureShadows(session: Session): Promise<void> {
  await ensureDataMigrations(session);
  if (!(await hasShadows(session))) await session.query(createShadowsSql);
}

async function hasShadows(session: Session): Promise<boolean> {
  const { rows } = await session.query<{ present: boolean }>(
    "select pg_catalog.to_regclass('switchback.shadow') is not null as present",
  );
  return rows[0]?.present === true;
}

/** Null where there is none of this data migration. */
export async function readShadow(session: Session, id: string): Promise<Shadow | null> {
  if (!(await hasShadows(session))) return null;
  const { rows } = await session.query<Shadow>(
    `select id, name, schema_name as schema, table_name as table, state, form,
        columns, unvalidated, way_back as "wayBack" from switchback.shadow where id = $1`,
    [id],
  );
  return rows[0] ?? null;
}

/** @throws AppError `DATA_MIGRATION_NOT_FOUND` */
export async function requireShadow(session: Session, id: string): Promise<Shadow> {
  const shadow = await readShadow(session, id);
  if (shadow !== null) return shadow;
  throw new AppError(
    'DATA_MIGRATION_NOT_FOUND',
    `${session.target.display} knows no shadow table of a data migration ${id}. Nothing was done.`,
    { dataMigration: id },
  );
}

export async function insertShadow(
  session: Session,
  shadow: Omit<Shadow, 'state' | 'unvalidated' | 'wayBack'>,
): Promise<Shadow> {
  const { id, name, schema, table, form, columns } = shadow;
  await session.query(
    `insert into switchback.shadow (id, name, schema_name, table_name, state, form, columns) values ($1, $2, $3, $4, 'mirrored', $5, $6)`,
    [id, name, schema, table, form, JSON.stringify(columns)],
  );
  return { ...shadow, state: 'mirrored', unvalidated: [], wayBack: null };
}

export async function updateShadow(
  session: Session,
  id: string,
  change: {
    readonly state: ShadowState;
    readonly unvalidated: readonly Unvalidated[];
    readonly wayBack?: WayBack;
  },
): Promise<void> {
  await session.query(
    `update switchback.shadow set state = $2, unvalidated = $3, way_back = coalesce($4, way_back), changed_at = pg_catalog.clock_timestamp()
      where id = $1`,
    [
      id,
      change.state,
      JSON.stringify(change.unvalidated),
      change.wayBack === undefined ? null : JSON.stringify(change.wayBack),
    ],
  );
}

/** For names: the id without its hyphens. */
export const hexOf = (id: string): string => id.replaceAll('-', '');

/**
 * The schema in which the shadow has the table's own name, and its indexes and constraints theirs. The scheme of the name
 * is the vault's: such schemas are no part of what is compared, copied or dumped.
 */
export const shadowSchema = (id: string): string => `switchback_vault_shadow_${hexOf(id).slice(0, 20)}`;
