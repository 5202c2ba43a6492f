import { isUtf8 } from 'node:buffer';
import { createHash } from 'node:crypto';
import type { JsonAnalysis } from '../analysis/reports/json.ts';
import {
  dropsSessionLocks,
  makesTemporary,
  mayChangeSession,
  setsLockTimeout,
  summarise,
} from '../sql/classify.ts';
import { SyntaxFault } from '../sql/parse.ts';
import { lockedRelations, type RelationName } from '../sql/relations.ts';
import { placeOf, type Statement, splitStatements } from '../sql/split.ts';
import type { ComparedMigration, Comparison } from './compare.ts';
import type { Fault } from './fault.ts';
import type { History } from './history.ts';
import type { Bundle, Migration } from './read.ts';
import { cut, isEffective, runAlone, type Segment } from './segments.ts';
import { faultsOf } from './violations.ts';

export interface PlannedMigration {
  readonly name: string;
  readonly checksum: string;
  readonly segments: readonly Segment[];
  /** Relations that it locks for more than reading. */
  readonly relations: readonly RelationName[];
  readonly makesTemporary: boolean;
  /** Whether it sets `lock_timeout` itself: then that holds. */
  readonly setsLockTimeout: boolean;
  /** Whether settings of the session may be others afterwards. */
  readonly changesSession: boolean;
  /** Whether it is run in more than one transaction, and so needs the journal. */
  readonly journalled: boolean;
  /** The history's row of an attempt whose process is gone and which is to be finished. */
  readonly resumes: string | null;
}

/** The ordered steps that would run. JSON-safe: it can be shown, approved, stored and executed. */
export interface Plan {
  readonly mode: 'atomic';
  readonly bundle: string;
  /** Of the state it was made for: history, bundle, server. */
  readonly fingerprint: string;
  readonly serverVersion: string;
  readonly migrations: readonly PlannedMigration[];
  readonly faults: readonly Fault[];
  /** What the pending migrations do to the application; null where nothing is pending, or nobody asked. */
  readonly analysis: JsonAnalysis | null;
  readonly createsHistory: boolean;
  /** Whether the journal is needed in the target. */
  readonly needsJournal: boolean;
}

/** A file's text as it is sent: PostgreSQL knows no byte order mark. */
export const textOf = (migration: Migration): string => migration.sql.toString('utf8').replace(/^\uFEFF/, '');

/** Whether a deployment applies it. */
export const isPending = ({ state }: Pick<ComparedMigration, 'state'>): boolean =>
  state === 'pending' || state === 'interrupted' || state === 'rolled back';

/** Makes the plan of all pending migrations. Pure: it needs `loadParser` to have run. */
export function makePlan(input: {
  bundle: Bundle;
  history: History;
  comparison: Comparison;
  serverVersion: string;
  analysis?: JsonAnalysis | null;
}): Plan {
  const { bundle, history, comparison, serverVersion, analysis = null } = input;
  const byName = new Map(bundle.migrations.map((migration) => [migration.name, migration]));
  const faults: Fault[] = [...comparison.faults];
  const migrations = comparison.migrations.filter(isPending).flatMap(({ name, state, row }) => {
    const migration = byName.get(name);
    if (migration === undefined) return [];
    const planned = planOne(migration, state === 'interrupted' ? (row?.id ?? null) : null);
    faults.push(...planned.faults);
    return [planned.migration];
  });
  return {
    mode: 'atomic',
    bundle: bundle.id,
    fingerprint: fingerprint(bundle, history, serverVersion),
    serverVersion,
    migrations,
    faults: [...faults, ...(analysis === null ? [] : faultsOf(analysis))],
    analysis,
    createsHistory: !history.exists,
    needsJournal: migrations.some((migration) => migration.journalled),
  };
}

/** Of what a plan rests on: another fingerprint means that the plan is stale. */
export function fingerprint(bundle: Bundle, history: History, serverVersion: string): string {
  const rows = history.rows.map((row) => [
    row.id,
    row.checksum,
    row.finishedAt !== null,
    row.rolledBackAt !== null,
  ]);
  return createHash('sha256')
    .update(JSON.stringify([bundle.id, serverVersion, history.exists, rows]))
    .digest('hex');
}

function planOne(
  migration: Migration,
  resumes: string | null,
): { migration: PlannedMigration; faults: Fault[] } {
  const { name, checksum } = migration;
  const text = textOf(migration);
  if (!isText(migration.sql))
    return { migration: { name, checksum, ...unreadable(text), resumes }, faults: [isNoText(name)] };
  try {
    const statements = splitStatements(text);
    const segments = cut(statements);
    const effective = segments.filter(isEffective);
    return {
      migration: {
        name,
        checksum,
        segments,
        relations: statements.flatMap((statement) => lockedRelations({ [statement.kind]: statement.node })),
        makesTemporary: statements.some(makesTemporary),
        setsLockTimeout: statements.some(setsLockTimeout),
        changesSession: statements.some(mayChangeSession),
        journalled:
          effective.length > 1 || effective.some((segment) => segment.runs === 'alone' || segment.rollsBack),
        resumes,
      },
      faults: statements.filter(dropsSessionLocks).map((statement) => dropsLocks(name, statement)),
    };
  } catch (error) {
    if (!(error instanceof SyntaxFault)) throw error;
    return {
      migration: { name, checksum, ...unreadable(text), resumes },
      faults: [doesNotParse(name, text, error)],
    };
  }
}

/** Text that our parser refuses is sent as it is, whole: the server may know better. */
function unreadable(text: string): Omit<PlannedMigration, 'name' | 'checksum' | 'resumes'> {
  const whole = {
    statement: 1,
    offset: 0,
    length: text.length,
    line: 1,
    column: 1,
    summary: summarise(text),
    blocks: true,
    brief: false,
    waitsForSnapshots: false,
    setting: false,
    replays: false,
    // Sent as one message it is one transaction, unless it ends one itself.
    commitsItself: /;\s*(commit|end|prepare\s+transaction)\b/i.test(text),
  };
  return {
    segments: [runAlone([whole])],
    relations: [],
    makesTemporary: false,
    setsLockTimeout: false,
    changesSession: true,
    journalled: true,
  };
}

/** PostgreSQL takes neither other encodings from us nor the character with the code 0. */
const isText = (sql: Buffer): boolean => isUtf8(sql) && !sql.includes(0);

const isNoText = (migration: string): Fault => ({
  code: 'MIGRATION_UNPARSABLE',
  severity: 'stop',
  migration,
  message: `${migration} is not text in UTF-8 (an editor may have saved it as UTF-16). Nothing was done. Save it as UTF-8; Prisma takes nothing else either.`,
});

function doesNotParse(migration: string, text: string, error: SyntaxFault): Fault {
  const place = placeOf(text, error.position);
  return {
    code: 'MIGRATION_UNPARSABLE',
    severity: 'warn',
    migration,
    ...place,
    message: `${migration} does not parse (line ${place.line}, column ${place.column}: ${error.message}). It will be sent as one text, and fails if the server does not know it either.`,
  };
}

const dropsLocks = (migration: string, statement: Statement): Fault => ({
  code: 'MIGRATION_DROPS_LOCKS',
  severity: 'stop',
  migration,
  line: statement.line,
  column: statement.column,
  message: `${migration}, line ${statement.line}: "${summarise(statement.text)}" would let go of the locks that keep two deployments apart. Nothing was done. Remove it; to reset settings use RESET ALL.`,
});
