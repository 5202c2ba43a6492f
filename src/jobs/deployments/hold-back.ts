/** Migrations that need data migrations to have been finished: a deployment stops before the first that has to wait. */
import type { Allowance, DatabaseConfig } from '../../config.ts';
import type { Control } from '../../db/control/control.ts';
import { AppError } from '../../errors.ts';
import { requiresOf } from '../../migrations/beside.ts';
import type { Comparison } from '../../migrations/compare.ts';
import { allow, type Fault } from '../../migrations/fault.ts';
import { type Held, isPending } from '../../migrations/plan.ts';
import type { Bundle } from '../../migrations/read.ts';
import { latestByName } from '../data-migrations/records.ts';

export interface HeldBack {
  /** Null where nothing has to wait. */
  readonly held: Held | null;
  /** What would wait and was allowed not to. */
  readonly faults: readonly Fault[];
  /** As if what waits were not there. */
  readonly comparison: Comparison;
}

/**
 * Finds the first pending migration that waits for a data migration; what comes after it waits as well. One that was begun
 * is finished.
 * @throws AppError `MIGRATION_FILE_INVALID`
 */
export async function holdBack(
  { control, database }: { readonly control: Control; readonly database: DatabaseConfig },
  bundle: Bundle,
  comparison: Comparison,
  allowances: readonly Allowance[],
): Promise<HeldBack> {
  const byName = new Map(bundle.migrations.map((migration) => [migration.name, migration]));
  const pending = comparison.migrations.filter(isPending);
  const faults: Fault[] = [];
  for (const [index, { name, state }] of pending.entries()) {
    const migration = byName.get(name);
    if (migration === undefined || state === 'interrupted') continue;
    const waitsFor: Held['waitsFor'][number][] = [];
    for (const required of requiresOf(migration)) {
      const latest = await latestByName(control, database.name, required);
      if (latest?.state === 'finished' && latest.validation === 'passed') continue;
      const { id = null, state: found = null } = latest ?? {};
      waitsFor.push({ name: required, dataMigration: id, state: found });
    }
    if (waitsFor.length === 0) continue;
    const held = { migration: name, after: pending.slice(index + 1).map((one) => one.name), waitsFor };
    const [fault] = allow([faultOf(held)], allowances) as [Fault];
    if (fault.allowed === undefined) return { held, faults, comparison: without(comparison, held) };
    faults.push(fault);
  }
  return { held: null, faults, comparison };
}

const faultOf = (held: Held): Fault => ({
  code: 'DATA_MIGRATION_REQUIRED',
  severity: 'stop',
  migration: held.migration,
  message: `${held.migration} needs ${sentence(held)}.`,
});

function without(comparison: Comparison, { migration, after }: Held): Comparison {
  const waiting = new Set([migration, ...after]);
  return {
    migrations: comparison.migrations.filter((one) => !(isPending(one) && waiting.has(one.name))),
    faults: comparison.faults.filter((fault) => fault.migration === null || !waiting.has(fault.migration)),
  };
}

const sentence = ({ waitsFor }: Held): string =>
  waitsFor
    .map(
      ({ name, state }) =>
        `the data migration "${name}", which ${state === null ? 'was never started' : `is ${state}`}`,
    )
    .join(', and ');

/**
 * What ends a deployment at the migration that waits.
 * @param applied what this deployment has applied before it
 */
export function heldError(
  held: Held,
  { database, bundle, applied }: { database: string; bundle: string | undefined; applied: readonly string[] },
): AppError {
  const before =
    applied.length === 0
      ? 'Nothing was applied.'
      : `What comes before it is applied and stays: ${applied.join(', ')}.`;
  const toDo = held.waitsFor.map((one) => nextStep(one, database, bundle)).join(' ');
  return new AppError(
    'DATA_MIGRATION_REQUIRED',
    `The deployment stopped before ${held.migration}: it needs ${sentence(held)}. ${before} ${toDo} Then deploy again.`,
    { migration: held.migration, waitsFor: held.waitsFor, after: held.after, applied },
  );
}

function nextStep(
  { name, dataMigration, state }: Held['waitsFor'][number],
  database: string,
  bundle: string | undefined,
): string {
  if (state === 'failed' || state === 'paused')
    return `See why with GET /api/data-migrations/${dataMigration}, and go on with POST /api/data-migrations/${dataMigration}/resume.`;
  if (state === 'waiting' || state === 'running')
    return `Wait for it: GET /api/data-migrations/${dataMigration}.`;
  const body = { database, ...(bundle === undefined ? {} : { bundle }), name };
  return `Start it with POST /api/data-migrations ${JSON.stringify(body)}, and wait until its validation has passed.`;
}
