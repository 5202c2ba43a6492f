/** The start: triggers on the table, its ranges, and the row that says what is done. */
import type { Session } from '../db/session.ts';
import { AppError } from '../errors.ts';
import type { KeyedSource, Work } from './define-kind.ts';
import type { DataMigrationEvent } from './events.ts';
import { guard, unguard } from './guards.ts';
import type { KeyValues } from './keys.ts';
import { patiently } from './patience.ts';
import { inTransaction } from './place.ts';
import { insertMigration } from './progress.ts';
import { cutKeys, estimateRows } from './ranges.ts';
import { ensureDataMigrations } from './schema.ts';
import { type DataMigrationSpec, laterChangeOf } from './spec.ts';

export interface BeginRequest {
  readonly id: string;
  readonly spec: DataMigrationSpec;
  readonly signal: AbortSignal;
  readonly report: (event: DataMigrationEvent) => void;
}

/** Killed anywhere in it, it is begun again: the triggers that are there by then are its own. */
export async function begin(
  request: BeginRequest,
  work: Work,
  { source: reading, written: writing }: { readonly source: Session; readonly written: Session },
): Promise<void> {
  const { id, spec, report } = request;
  const { table, key } = work.source;
  const source: KeyedSource | null = key === null ? null : { ...work.source, key };
  let through: KeyValues | null = null;
  const later = await laterChangeOf(spec, work);
  if (source !== null)
    await patiently(reading, request, async () => {
      through = await guard(reading, { id, name: spec.name, table, key: source.key, later });
    });
  const ends = source === null ? [null] : await endsOf(reading, source, through, spec.parallelism);
  const estimate =
    source === null || through === null
      ? null
      : await estimateRows(reading, source, { after: null, through });
  try {
    await inTransaction(writing, async () => {
      await ensureDataMigrations(writing);
      const { name, kind, parallelism, pace, limits = {} } = spec;
      await insertMigration(writing, {
        ...{
          id,
          name,
          kind,
          spec,
          code: work.code ?? null,
          written: work.written,
          parallelism,
          pace,
          limits,
        },
        ...{ estimate, ends },
      });
    });
  } catch (error) {
    if (error instanceof AppError && error.code === 'TABLE_BUSY')
      await patiently(reading, request, () => unguard(reading, id));
    throw error;
  }
  report({ type: 'begun', key: key?.columns.map(({ name }) => name) ?? [], ranges: ends.length, estimate });
}

/** Of an empty table there are none. */
async function endsOf(
  session: Session,
  source: KeyedSource,
  through: KeyValues | null,
  parallelism: number,
): Promise<readonly KeyValues[]> {
  if (through === null) return [];
  return [...(await cutKeys(session, source, { after: null, through }, parallelism)), through];
}
