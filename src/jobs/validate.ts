import type { DatabaseConfig } from '../config.ts';
import type { PhaseName, ValidationOutcome } from '../data-migrations/validate/request.ts';
import { validate } from '../data-migrations/validate/validate.ts';
import { toJson } from '../db/control/job-rows.ts';
import { parseTarget } from '../db/target.ts';
import { AppError } from '../errors.ts';
import { databaseOf } from './databases.ts';
import type { JobContext } from './define-job.ts';
import type { ValidationPayload } from './kinds/validation.ts';

/** What readers of one of the two databases may know: no values, and of differences and moving rows a few. */
export type ValidationResult = Omit<ValidationOutcome, 'differences' | 'moving'> & {
  readonly validationId: string;
  readonly moving: ValidationOutcome['moving'];
};

/** Names so many differences in an error, which goes into events and alerts; the record has the others. */
const named = 20;

/** @throws AppError `DATA_DIFFERS`, and those of `validate` */
export async function runValidation(
  context: JobContext<ValidationPayload, PhaseName>,
): Promise<ValidationResult> {
  const { job, payload, deps, signal, step } = context;
  const source = databaseOf(deps.config, payload.source.database);
  const target = databaseOf(deps.config, payload.target.database);
  const outcome = await validate(
    {
      ...payload,
      source: placeOf(source, payload.source),
      target: placeOf(target, payload.target),
      values: [source, target].some(({ policy }) => policy.validation.values === 'redacted')
        ? 'redacted'
        : payload.values,
    },
    { applicationName: `switchback:${job.id}`, signal, phase: step },
  );
  const { id: validationId } = await deps.control.prisma.validation.update({
    where: { jobId: job.id },
    data: { outcome: toJson(outcome) },
    select: { id: true },
  });
  if (!outcome.same) throw differs(payload, outcome, validationId);
  const { differences: _, moving, ...result } = outcome;
  return { validationId, ...result, moving: { ...moving, listed: moving.listed.slice(0, named) } };
}

function placeOf(database: DatabaseConfig, { schema, table, where }: ValidationPayload['source']) {
  const target = parseTarget(database.url);
  return { database: database.name, target, schema: schema ?? target.schema, table, where };
}

function differs(
  { source, target }: ValidationPayload,
  outcome: ValidationOutcome,
  validation: string,
): AppError {
  const { listed, ...counts } = outcome.differences;
  const parts = (['missing', 'changed', 'extra'] as const).flatMap((kind) =>
    counts[kind] > 0 ? [`${counts[kind]} ${kind}`] : [],
  );
  return new AppError(
    'DATA_DIFFERS',
    `${target.table} of ${target.database} does not hold what ${source.table} of ${source.database} has: of ${outcome.rows.source} rows ${parts.join(', ')}. Nothing was changed. GET /api/validations/${validation} lists them with their columns.`,
    {
      validation,
      ...counts,
      moving: outcome.moving.total,
      listed: listed.slice(0, named).map(({ kind, key, columns }) => ({ kind, key, columns })),
    },
  );
}
