/**
 * Executes a folder of migrations on a database whose tables all hold a few rows, and records what each of them really
 * did to the tables that were there before it.
 */
import { type Migration, readDirectory } from '../../src/migrations/read.ts';
import { createRowFiller, type RowFiller } from '../../src/rollback/rows/fill.ts';
import { loadParser } from '../../src/sql/parse.ts';
import type { Observation } from './observation.ts';
import { Place } from './place.ts';
import type { Trace } from './recorder.ts';
import {
  type FileRun,
  hasOwnTransactions,
  refusesTransaction,
  runByStatement,
  runInTransaction,
  runWhatWorks,
  statementsOf,
} from './run-file.ts';
import { listTables, takeSnapshot, withRows } from './snapshot.ts';

export interface ObserveOptions {
  /** Called after each migration. */
  readonly report?: (observation: Observation, done: number, of: number) => void;
  /** Called for each table that stays empty. */
  readonly unfilled?: (table: string, reason: string) => void;
}

/** `server` is a superuser's URL; the database for the folder is made there, and dropped. */
export async function observeFolder(
  directory: string,
  server: string,
  options: ObserveOptions = {},
): Promise<Observation[]> {
  await loadParser();
  const { migrations } = await readDirectory(directory);
  const place = await Place.open(server);
  const filler = createRowFiller();
  try {
    const observations: Observation[] = [];
    for (const migration of migrations) {
      const observation = await observe(place, filler, migration, options);
      observations.push(observation);
      options.report?.(observation, observations.length, migrations.length);
    }
    return observations;
  } finally {
    await place.close();
  }
}

async function observe(
  place: Place,
  filler: RowFiller,
  { name, sql }: Migration,
  options: ObserveOptions,
): Promise<Observation> {
  const startedAt = performance.now();
  const { left } = await filler.fill(place.client);
  for (const { table, reason } of left) options.unfilled?.(table, reason);
  const attempt = await attemptAll(place, sql.toString('utf8').replace(/^\ufeff/, ''));
  // What a file sets for its session ends with it.
  await place.client.query('discard all');
  await place.client.query("set statement_timeout = '60s'");
  return {
    name,
    ...attempt,
    harmless: isHarmless(attempt),
    milliseconds: Math.round(performance.now() - startedAt),
  };
}

type Attempt = Omit<Observation, 'name' | 'harmless' | 'milliseconds'>;

const isHarmless = ({ outcome, effects, renamed, rowsUpdated, rowsDeleted }: Attempt): boolean =>
  outcome === 'applied' &&
  effects.length + renamed.length + Object.keys(rowsUpdated).length + Object.keys(rowsDeleted).length === 0;

/** With rows; where these are in the way without; and where that fails, too, as far as it goes. */
async function attemptAll(place: Place, sql: string): Promise<Attempt> {
  const tables = await listTables(place.client);
  const { tables: facts } = await takeSnapshot(place.client, tables);
  const filled = await withRows(place.client, facts.values());
  const run = { statements: statementsOf(sql), tables, filled };
  const withThem = await attempt(place, run);
  if ('record' in withThem) return { outcome: 'applied', rows: true, ran: withThem.ran, ...withThem.record };
  await empty(
    place,
    [...facts.values()].map(({ name }) => name),
  );
  const without = await attempt(place, run);
  const { error } = withThem;
  if ('record' in without)
    return { outcome: 'appliedEmpty', error, rows: false, ran: without.ran, ...without.record };
  await runWhatWorks({ ...run, client: place.client });
  return { outcome: 'failed', error: without.error, rows: false, ran: without.ran, ...nothing };
}

const nothing: Trace = {
  effects: [],
  findings: [],
  locks: [],
  concurrent: [],
  validations: [],
  renamed: [],
  rowsInserted: {},
  rowsUpdated: {},
  rowsDeleted: {},
};

type Tried = { readonly ran: Observation['ran'] } & ({ readonly record: Trace } | { readonly error: string });

/** After a failure the database is as it was. */
async function attempt(place: Place, run: Omit<FileRun, 'client'>): Promise<Tried> {
  if (!hasOwnTransactions(run.statements)) {
    try {
      return { ran: 'transaction', record: await runInTransaction({ ...run, client: place.client }) };
    } catch (error) {
      if (!refusesTransaction(error)) return { ran: 'transaction', error: textOf(error) };
    }
  }
  await place.remember();
  try {
    return { ran: 'statements', record: await runByStatement({ ...run, client: place.client }) };
  } catch (error) {
    await place.goBack();
    return { ran: 'statements', error: textOf(error) };
  } finally {
    await place.forget();
  }
}

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

async function empty({ client }: Place, tables: readonly string[]): Promise<void> {
  if (tables.length === 0) return;
  // Triggers that forbid it are not what is asked about.
  await client.query(
    `begin; set local session_replication_role = replica; truncate ${tables.join(', ')} cascade; commit`,
  );
}
