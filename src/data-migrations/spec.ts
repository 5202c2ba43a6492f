/** What a data migration is to do, as it is given over HTTP or in `data-migrations/<name>.json`. */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { Kind, KindPlaces, LaterChange, Work } from './define-kind.ts';
import { invalid } from './expressions.ts';
import type { BaseSpec } from './forms.ts';
import { kinds } from './kinds/index.ts';

type Form = z.ZodObject<{ kind: z.ZodLiteral<string> }>;
const forms = kinds.map(({ form }) => form as unknown as Form) as [Form, ...Form[]];

export type DataMigrationSpec = BaseSpec;

/** Strict; each kind has its own form. Whether tables and expressions are right only the database says (`dryRun`). */
export const dataMigrationSpec = z
  .discriminatedUnion('kind', forms)
  .meta({ id: 'DataMigrationSpec' }) as unknown as z.ZodType<DataMigrationSpec>;

export function kindOf(spec: DataMigrationSpec): Kind {
  const kind = kinds.find(({ name }) => name === spec.kind);
  if (kind === undefined) throw new Error(`there is no kind ${spec.kind}`);
  return kind;
}

/**
 * Looks at the catalogue, and makes ready.
 * @throws AppError those of `Kind.prepare`; `MAPPING_INVALID` where later rows cannot be changed by a trigger
 */
export async function prepareWork(spec: DataMigrationSpec, places: KindPlaces): Promise<Work> {
  const work = await kindOf(spec).prepare(spec, places);
  try {
    await laterChangeOf(spec, work);
    return work;
  } catch (error) {
    await work.close();
    throw error;
  }
}

/** Null where later rows are the application's. @throws AppError `MAPPING_INVALID` */
export async function laterChangeOf(
  { laterRows }: Pick<DataMigrationSpec, 'laterRows'>,
  { later }: Pick<Work, 'later'>,
): Promise<LaterChange | null> {
  if (laterRows === 'application') return null;
  if (typeof later === 'function') return later();
  throw invalid(
    'laterRows',
    `rows that are inserted meanwhile cannot be changed by a trigger, since ${later.impossible}`,
  );
}

const changeable = new Set(['pace', 'parallelism', 'limits', 'toleratedRows', 'vacuumEvery']);

/** What may be changed while it runs is no part of what it does: the rest must be the same when it is gone on with. */
export function fingerprintOf(spec: DataMigrationSpec): string {
  const essence = Object.entries(spec).filter(([name]) => !changeable.has(name));
  return createHash('sha256')
    .update(canonical(Object.fromEntries(essence)))
    .digest('hex');
}

const canonical = (value: unknown): string =>
  JSON.stringify(value, (_, part: unknown) =>
    part !== null && typeof part === 'object' && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
