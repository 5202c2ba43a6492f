import type { DatabaseConfig } from '../../config.ts';
import type { Control } from '../../db/control/control.ts';
import { AppError } from '../../errors.ts';
import { checksumMatches } from '../../migrations/checksum.ts';
import type { HistoryRow } from '../../migrations/history.ts';
import { textOf } from '../../migrations/plan-migration.ts';
import { type Bundle, type Migration, readDirectory } from '../../migrations/read.ts';
import { withinDatabase } from '../../sql/cluster-wide.ts';
import { SyntaxFault } from '../../sql/parse.ts';
import type { Statement } from '../../sql/split.ts';
import { readStored } from '../deployments/bundles.ts';

/** How far back the bundles of deployments are looked through. */
const mostDeployments = 50;

/**
 * The migrations from which these rows were applied. The release that stands in the directory by now may know nothing of
 * them: then the bundles that were deployed are looked through. Null where nothing can be read.
 * @param rows those of which the texts are needed
 */
export async function findSources(
  control: Control,
  database: DatabaseConfig,
  rows: readonly HistoryRow[],
): Promise<Bundle | null> {
  let best: Bundle | null = null;
  for await (const bundle of candidates(control, database)) {
    if (rows.every((row) => sourceOf(bundle, row) !== null)) return bundle;
    best ??= bundle;
  }
  return best;
}

/** The migration that was applied, as long as its text is the one that was. */
export const sourceOf = (bundle: Bundle | null, { name, checksum }: HistoryRow): Migration | null =>
  bundle?.migrations.find((one) => one.name === name && checksumMatches(one.sql, checksum)) ?? null;

async function* candidates(control: Control, database: DatabaseConfig): AsyncGenerator<Bundle> {
  const directory = (): Promise<Bundle | null> => unlessUnreadable(readDirectory(database.migrations));
  const first = database.policy.bundles === 'directory' ? await directory() : null;
  if (first !== null) yield first;
  const deployed = await control.prisma.$queryRaw<{ bundle: string }[]>`
    select distinct b.id as bundle, max(d.id::text) over (partition by b.id) as latest
      from (select id, plan->>'bundle' as bundle from deployment where database = ${database.name} order by id desc limit ${mostDeployments}) d
      join bundle b on b.id = d.bundle order by latest desc`;
  for (const { bundle } of deployed) {
    const stored = await unlessUnreadable(readStored(control, bundle));
    if (stored !== null) yield stored;
  }
  const last = database.policy.bundles === 'upload' ? await directory() : null;
  if (last !== null) yield last;
}

async function unlessUnreadable(reading: Promise<Bundle>): Promise<Bundle | null> {
  try {
    return await reading;
  } catch (error) {
    if (error instanceof AppError) return null;
    throw error;
  }
}

/**
 * What is run again in a scratch database of a server on which it ran before: what belongs to the whole server is there
 * already, and is not touched.
 * @returns the statement instead that can be neither run again nor left out
 */
export function replayedText(migration: Migration): string | Statement {
  const text = textOf(migration);
  try {
    return withinDatabase(text);
  } catch (error) {
    if (error instanceof SyntaxFault) return text;
    throw error;
  }
}
