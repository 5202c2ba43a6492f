/** The beginning of a table's exchange: its shadow, and the triggers that write to it. */
import type { Session } from '../../db/session.ts';
import { AppError } from '../../errors.ts';
import { inSavepoint } from '../../vault/as-vault.ts';
import { readTable, type Table } from '../../vault/table.ts';
import type { Key } from '../keys.ts';
import type { Alteration } from './alter.ts';
import { type GivenColumns, mapColumns } from './columns.ts';
import { exchange } from './exchange.ts';
import { formOf, makeLike } from './like.ts';
import { createMirror, dropMirrorSql } from './mirror.ts';
import { refuseUnfit } from './refusals.ts';
import { ensureShadows, insertShadow, readShadow, type Shadow, shadowSchema } from './state.ts';
import { runAll, underCallersPath, underOwnPath } from './transaction.ts';

export interface ShadowRequest {
  /** Of the data migration: a UUID. */
  readonly id: string;
  readonly name: string;
  readonly table: Table;
  readonly key: Key;
  readonly alteration: Alteration;
  readonly given: GivenColumns;
  /** For the trial of the swap. */
  readonly lockTimeoutMs: number;
}

export interface Prepared {
  readonly state: Shadow;
  readonly shadow: Table;
}

/**
 * Makes the shadow, tries the swap, which is rolled back, and has all that is written to the table from here on written to
 * the shadow. In an open transaction, after which the rows that are there can be copied. Where that was done before, it is
 * found.
 * @param how `dry`: without the trial and the triggers, which lock the table
 * @throws AppError `SHADOW_REFUSED`, `MAPPING_INVALID`, `KEY_UNUSABLE`, `LOCK_TIMEOUT`, `PERMISSION_DENIED`
 */
export async function prepareShadow(
  session: Session,
  request: ShadowRequest,
  how: 'real' | 'dry',
): Promise<Prepared> {
  const known = await readShadow(session, request.id);
  if (known !== null) return { state: known, shadow: await requireTable(session, known.shadow, known) };
  await ensureShadows(session);
  return underOwnPath(session, async () => {
    const { id, name, table, key, alteration, given } = request;
    await refuseUnfit(session, table);
    const shadow = await makeShadow(session, request);
    const columns = await underCallersPath(session, () =>
      mapColumns(session, { table, shadow, key: key.columns.map((one) => one.name), alteration, given }),
    );
    const { schema, name: place } = table;
    const form = await formOf(session, table.oid);
    const state = await insertShadow(session, {
      ...{ id, name, schema, table: place, old: table.oid, shadow: shadow.oid, form, columns },
    });
    if (how === 'real') {
      await trySwap(session, request, shadow);
      await createMirror(session, {
        ...{ id, direction: 'forth', from: table, to: shadow, key: columns.key, columns: columns.forth },
      });
    }
    return { state, shadow };
  });
}

async function makeShadow(session: Session, { id, table, alteration }: ShadowRequest): Promise<Table> {
  const schema = shadowSchema(id);
  await makeLike(session, table, schema);
  const { rows } = await session.query<{ oid: number }>(
    'select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = $1 and c.relname = $2',
    [schema, table.name],
  );
  const made = await readTable(session, rows[0]?.oid ?? 0);
  if (made === null) throw new Error(`${schema}.${table.name} was not made`);
  await underCallersPath(session, () => session.query(`alter table ${made.sql}\n${alteration.text}\n`));
  return (await readTable(session, made.oid)) ?? made;
}

/** What cannot be carried over shows now and not when all rows are copied. */
async function trySwap(session: Session, request: ShadowRequest, shadow: Table): Promise<void> {
  const { id, name, table, lockTimeoutMs } = request;
  try {
    await inSavepoint(
      session,
      () =>
        exchange(session, {
          ...{ id, name, leaving: table, coming: shadow, wayBack: null, beforeRemoval: [] },
          ...{ retentionDays: 1, lockTimeoutMs, checked: async () => undefined },
        }),
      () => false,
    );
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'STATEMENT_FAILED') throw error;
    throw new AppError(
      'SHADOW_REFUSED',
      `What hangs on ${table.schema}.${table.name} cannot be carried over to its new form: ${String(error.details.reason)}. Nothing was done. Change that first.`,
      { table: `${table.schema}.${table.name}`, reason: error.details.reason },
      { cause: error },
    );
  }
}

/** @throws AppError `TABLE_CHANGED` */
export async function requireTable(session: Session, oid: number, state: Shadow): Promise<Table> {
  const table = await readTable(session, oid);
  if (table !== null) return table;
  throw new AppError(
    'TABLE_CHANGED',
    `A table of the data migration "${state.name}" (${state.id}) on ${state.schema}.${state.table} is gone. Nothing more was done. Cancel it.`,
    { dataMigration: state.id, table: `${state.schema}.${state.table}` },
  );
}

/** Takes back what `prepareShadow` has made, as long as the shadow has no other's place; no harm where there is none. In a transaction. */
export async function abandonShadow(session: Session, id: string): Promise<void> {
  const state = await readShadow(session, id);
  if (state?.state !== 'mirrored') return;
  await runAll(session, [
    ...dropMirrorSql({ id, direction: 'forth' }),
    `drop schema if exists ${shadowSchema(id)} cascade`,
  ]);
  await session.query('delete from switchback.shadow where id = $1', [id]);
}
