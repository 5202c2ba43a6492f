/** The ways back that were tried, as the control database keeps them. */
import { v7 as newId } from 'uuid';
import type { Control } from '../../db/control/control.ts';
import type { WayBack as Row } from '../../db/control/generated/client.ts';
import { toJson } from '../../db/control/job-rows.ts';
import type { HistoryRow } from '../../migrations/history.ts';
import type { Bundle, Migration } from '../../migrations/read.ts';
import { writtenRollback } from '../../rollback/sources.ts';

/** `proven`, or why it may not be used as it is; `notRehearsed`: nobody tried it, or could. */
export type WayBackOutcome = 'proven' | 'refused' | 'wrong' | 'failed' | 'notRehearsed';

/** How one migration is taken back, and what came of trying it. */
export interface WayBack {
  readonly migration: string;
  /** Of the migration, as it stands in the history. */
  readonly checksum: string;
  /** `rollback.sql`, `down.sql` or `generated`. */
  readonly source: string;
  /** Empty where there is none. */
  readonly sql: string;
  readonly outcome: WayBackOutcome;
  /** `schema`, `generated rows`, `sample` or `full`; null where it is not proven. */
  readonly provenOn: string | null;
  /** Why it is not proven. */
  readonly reasons: readonly string[];
  readonly compared: unknown;
}

/** Keeps what came of trying a way back: from now on it is the one that counts. */
export async function storeWayBack(
  { prisma }: Control,
  way: WayBack,
  by: { readonly database: string; readonly jobId: string; readonly deploymentId: string | null },
): Promise<void> {
  await prisma.wayBack.create({
    data: { ...way, ...by, id: newId(), reasons: [...way.reasons], compared: toJson(way.compared ?? {}) },
  });
}

/** What is known of each migration's way back as it stands in the bundle, by the migrations' names. */
export async function newestWaysBack(
  { prisma }: Control,
  database: string,
  migrations: readonly { readonly name: string; readonly checksum: string }[],
  bundle: Bundle,
): Promise<ReadonlyMap<string, WayBack>> {
  const rows = await prisma.wayBack.findMany({
    where: { database, migration: { in: migrations.map(({ name }) => name) } },
    orderBy: { id: 'asc' },
  });
  return new Map(
    migrations.flatMap(({ name, checksum }) => {
      const files = bundle.migrations.find((one) => one.name === name)?.files ?? new Map();
      const telling = tellingOf(
        rows.filter((row) => row.migration === name && row.checksum === checksum),
        files,
      );
      const way = asItStands(telling === null ? null : wayBackOf(telling), { name, checksum, files });
      return way === null ? [] : [[name, way] as const];
    }),
  );
}

/** What is known of a migration's way back, as it stands beside it now; null where nothing is. */
export function asItStands<Known extends WayBack>(
  known: Known | null,
  { name, checksum, files = new Map() }: Pick<Migration, 'name' | 'checksum' | 'files'>,
): Known | WayBack | null {
  const written = writtenRollback(files);
  // What was tried may be no longer what is written.
  if (written === null || known?.sql === written.sql) return known;
  return {
    ...{ migration: name, checksum, source: written.source, sql: written.sql, outcome: 'notRehearsed' },
    ...{ provenOn: null, reasons: ['Nobody has tried it as it stands.'], compared: null },
  };
}

/**
 * Of rows in the order in which they were written the one that counts: the last of the way back as it stands beside the
 * migration now. Where it could not be tried a later time, that says nothing against what came of trying it before.
 */
function tellingOf(rows: readonly Row[], files: Migration['files'] = new Map()): Row | null {
  const written = writtenRollback(files);
  const same = written === null ? rows : rows.filter(({ sql }) => sql === written.sql);
  return same.findLast(({ outcome }) => outcome !== 'notRehearsed') ?? rows.at(-1) ?? null;
}

/** What is known of a migration's text, whatever came of it, and when and by which job it was tried. */
export async function newestWayBack(
  { prisma }: Control,
  database: string,
  { name, checksum, files }: Pick<Migration, 'name' | 'checksum' | 'files'>,
): Promise<(WayBack & Pick<Row, 'jobId' | 'deploymentId' | 'createdAt'>) | null> {
  const where = { database, migration: name, checksum };
  const telling = tellingOf(await prisma.wayBack.findMany({ where, orderBy: { id: 'asc' } }), files);
  if (telling === null) return null;
  const { jobId, deploymentId, createdAt } = telling;
  return { ...wayBackOf(telling), jobId, deploymentId, createdAt };
}

/**
 * The way back of a migration's text, where it was proven when it was tried last.
 * @param sql only where it is this text
 */
export async function provenWayBack(
  { prisma }: Control,
  database: string,
  { migration, checksum }: Pick<WayBack, 'migration' | 'checksum'>,
  sql: string | null,
): Promise<WayBack | null> {
  const newest = await prisma.wayBack.findFirst({
    where: {
      ...{ database, migration, checksum },
      ...(sql === null ? {} : { sql }),
      outcome: { not: 'notRehearsed' },
    },
    orderBy: { id: 'desc' },
  });
  return newest?.outcome === 'proven' ? wayBackOf(newest) : null;
}

/** The text by which an earlier rollback has begun to take a migration back; null where no record has it. */
export async function begunWayBack(
  { prisma }: Control,
  database: string,
  { id, name, checksum }: Pick<HistoryRow, 'id' | 'name' | 'checksum'>,
): Promise<WayBack | null> {
  const [found] = await prisma.$queryRaw<{ planned: Omit<WayBack, 'migration' | 'checksum' | 'compared'> }[]>`
    select planned from rollback, jsonb_array_elements(plan->'migrations') as planned
     where database = ${database} and planned->>'historyId' = ${id} order by id desc limit 1`;
  if (found === undefined) return null;
  const { source, sql, outcome, provenOn, reasons } = found.planned;
  return { migration: name, checksum, source, sql, outcome, provenOn, reasons, compared: null };
}

const wayBackOf = ({
  migration,
  checksum,
  source,
  sql,
  outcome,
  provenOn,
  reasons,
  compared,
}: Row): WayBack => ({
  migration,
  checksum,
  source,
  sql,
  outcome: outcome as WayBackOutcome,
  provenOn,
  reasons: reasons as string[],
  compared,
});
