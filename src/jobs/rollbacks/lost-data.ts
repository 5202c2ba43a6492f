import type { Control } from '../../db/control/control.ts';
import type { Session } from '../../db/session.ts';
import type { History, HistoryRow } from '../../migrations/history.ts';
import type { LoggedMigration } from '../../migrations/migration-log.ts';
import { textOf } from '../../migrations/plan-migration.ts';
import type { Migration } from '../../migrations/read.ts';
import { removalsOf } from '../../migrations/removals.ts';
import { SyntaxFault } from '../../sql/parse.ts';
import { splitStatements } from '../../sql/split.ts';
import type { VaultEntry } from '../../vault/entry.ts';
import { findGone, listVault } from '../../vault/list.ts';
import type { Removal } from '../../vault/removals.ts';

export interface LostDataRequest {
  readonly control: Control;
  readonly session: Session;
  readonly database: string;
  readonly history: History;
  readonly row: HistoryRow;
  /** The text that was applied; null where nobody has it. */
  readonly source: Migration | null;
}

/**
 * What a migration removed and the vault does not have, in words: a rollback would make its place again, and leave it
 * empty. Prisma keeps nothing of what it applies.
 */
export async function lostData(request: LostDataRequest): Promise<string[]> {
  const { control, session, database, row, source } = request;
  const since = settledBefore(request);
  const entries = (await listVault(session)).filter(
    ({ migration, direction, savedAt }) =>
      migration === row.name && direction === 'forth' && (since === null || savedAt > since),
  );
  const gone = (await findGone(session, entries)).map(wordsOf);
  const logged = await lastApplied(control, database, row.name);
  if (logged?.kept.every((id) => entries.some((entry) => entry.id === id)))
    return [...logged.unkept, ...gone];
  if (entries.length > 0) return gone;
  return source === null
    ? ['whatever it removed: nobody has the text that was applied, and it was not deployed by Switchback']
    : removedBy(source);
}

/** When the run before this one was taken back; null where there was none. */
const settledBefore = ({ history, row }: LostDataRequest): Date | null =>
  history.rows
    .filter(({ name }) => name === row.name)
    .reduce<Date | null>(
      (last, { rolledBackAt }) =>
        rolledBackAt !== null && (last === null || rolledBackAt > last) ? rolledBackAt : last,
      null,
    );

/** What the log of the last deployment that applied it says of what was kept; null where none knows. */
async function lastApplied(
  { prisma }: Control,
  database: string,
  migration: string,
): Promise<{ kept: readonly string[]; unkept: readonly string[] } | null> {
  const [found] = await prisma.$queryRaw<{ logged: LoggedMigration }[]>`
    select logged from deployment, jsonb_array_elements(report->'migrations') as logged
     where database = ${database} and logged->>'name' = ${migration} and logged->>'outcome' = 'applied'
     order by id desc limit 1`;
  const kept = found?.logged.kept ?? null;
  return kept === null ? null : { kept, unkept: found?.logged.unkept ?? [] };
}

const wordsOf = ({ kind, schema, table, columns }: VaultEntry): string =>
  `${kind === 'column' || kind === 'values' ? `the values of ${schema}.${table}.${columns.join(', ')}` : `the rows of ${schema}.${table}`}, which are no longer in the vault`;

function removedBy(source: Migration): string[] {
  try {
    const statements = splitStatements(textOf(source));
    return removalsOf(statements).flatMap((removals, index) =>
      removals.map((removal) => `line ${statements[index]?.line ?? 1}: ${describe(removal)}`),
    );
  } catch (error) {
    if (!(error instanceof SyntaxFault)) throw error;
    return ['whatever it removed: its text does not parse'];
  }
}

const nameOf = ({ schema, name }: { schema: string | null; name: string }): string =>
  schema === null ? name : `${schema}.${name}`;
const namesOf = (names: readonly { schema: string | null; name: string }[]): string =>
  names.map(nameOf).join(', ');

function describe(removal: Removal): string {
  switch (removal.kind) {
    case 'dropTables':
      return `the rows of ${namesOf(removal.tables)}`;
    case 'dropColumns':
      return `the values of ${nameOf(removal.table)}.${removal.columns.join(', ')}`;
    case 'values':
      return `the former values of ${nameOf(removal.table)}.${removal.columns.join(', ')}`;
    case 'rows':
      return `the rows that were in ${namesOf(removal.tables)}`;
    case 'changes':
      return `what the rows that it changed in ${namesOf(removal.tables) || 'tables that only running it shows'} were before`;
    case 'sequence':
      return `the former value of the sequence ${nameOf(removal.sequence)}`;
    case 'attributes':
      return `the attributes that it dropped from the type ${nameOf(removal.type)}`;
    case 'drop':
    case 'opaque':
      return `what "${removal.sql.slice(0, 80)}" removed`;
    case 'unkept':
      return removal.because;
  }
}
