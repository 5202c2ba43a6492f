/** One text with its steps: of a migration, or of its rollback. */
import { isUtf8 } from 'node:buffer';
import {
  dropsSessionLocks,
  makesTemporary,
  mayChangeSession,
  setsLockTimeout,
  summarise,
} from '../sql/classify.ts';
import { SyntaxFault } from '../sql/parse.ts';
import { lockedRelations } from '../sql/relations.ts';
import { placeOf, type Statement, splitStatements } from '../sql/split.ts';
import type { Removal } from '../vault/removals.ts';
import type { Fault } from './fault.ts';
import type { PlannedMigration } from './plan.ts';
import type { Migration } from './read.ts';
import type { PlacedNaming, Removed } from './removals.ts';
import { cut, isEffective, runAlone, type Segment } from './segments.ts';

export interface PlannedText {
  readonly migration: PlannedMigration;
  readonly faults: readonly Fault[];
}

interface Planning {
  /** The history's row of an attempt that is to be finished. */
  readonly resumes: string | null;
  /** Reads what each statement removes; null where it is not to be kept. */
  readonly removalsOf: ((statements: readonly Statement[]) => Removed) | null;
}

/** A file's text as it is sent: PostgreSQL knows no byte order mark. */
export const textOf = (migration: Pick<Migration, 'sql'>): string =>
  migration.sql.toString('utf8').replace(/^\uFEFF/, '');

export function planMigration(migration: Migration, planning: Planning): PlannedText {
  const { name, checksum, sql } = migration;
  const { resumes, removalsOf } = planning;
  const text = textOf(migration);
  const common = { name, checksum, resumes, keeps: null };
  if (!isText(sql)) return { migration: { ...common, ...unreadable(text, []) }, faults: [isNoText(name)] };
  try {
    const statements = splitStatements(text);
    const { removals, namings } = removalsOf?.(statements) ?? { removals: [], namings: [] };
    const body = planStatements(statements, removals, namings);
    return {
      migration: { ...common, ...body },
      faults: [...dropsLocks(name, statements), ...unkept(name, body.segments)],
    };
  } catch (error) {
    if (!(error instanceof SyntaxFault)) throw error;
    const body = unreadable(text, removalsOf === null ? [] : [{ kind: 'unkept', because: unread }]);
    return {
      migration: { ...common, ...body },
      faults: [doesNotParse(name, text, error), ...unkept(name, body.segments)],
    };
  }
}

type Body = Omit<PlannedMigration, 'name' | 'checksum' | 'resumes' | 'keeps'>;

export function planStatements(
  statements: readonly Statement[],
  removals: readonly (readonly Removal[])[],
  namings: readonly PlacedNaming[] = [],
): Body {
  const segments = cut(statements, removals);
  const effective = segments.filter(isEffective);
  return {
    segments,
    namings,
    relations: statements.flatMap((statement) => lockedRelations({ [statement.kind]: statement.node })),
    makesTemporary: statements.some(makesTemporary),
    setsLockTimeout: statements.some(setsLockTimeout),
    changesSession: statements.some(mayChangeSession),
    journalled:
      effective.length > 1 || effective.some((segment) => segment.runs === 'alone' || segment.rollsBack),
  };
}

const unread = 'Its text does not parse, so that what it removes is not known.';

/** Text that our parser refuses is sent as it is, whole: the server may know better. */
function unreadable(text: string, removals: readonly Removal[]): Body {
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
    removals,
    writes: 'rows' as const,
    rewrites: null,
    addsRows: false,
    sets: [],
    restores: false,
  };
  return {
    segments: [runAlone([whole])],
    namings: [],
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

export const dropsLocks = (migration: string, statements: readonly Statement[]): Fault[] =>
  statements.filter(dropsSessionLocks).map(({ line, column, text }) => ({
    code: 'MIGRATION_DROPS_LOCKS',
    severity: 'stop',
    migration,
    line,
    column,
    message: `${migration}, line ${line}: "${summarise(text)}" would let go of the locks that keep two deployments apart. Nothing was done. Remove it; to reset settings use RESET ALL.`,
  }));

/** What is known beforehand not to be kept: outside a transaction there is none in which it could be saved. */
export const unkept = (migration: string, segments: readonly Segment[]): Fault[] =>
  segments.flatMap(({ runs, steps }) =>
    steps.flatMap(({ removals, line, column, summary }): Fault[] => {
      const because =
        removals.flatMap((removal) => (removal.kind === 'unkept' ? [removal.because] : []))[0] ??
        (runs === 'alone' && removals.length > 0 ? 'It runs outside a transaction.' : null);
      return because === null ? [] : [cannotKeep(migration, { line, column, summary, because })];
    }),
  );

const cannotKeep = (
  migration: string,
  { line, column, summary, because }: { line: number; column: number; summary: string; because: string },
): Fault => ({
  code: 'VAULT_CANNOT_KEEP',
  severity: 'stop',
  migration,
  line,
  column,
  message: `${migration}, line ${line}: what "${summary}" removes cannot be kept. ${because} Nothing was done. If that is meant, allow VAULT_CANNOT_KEEP for it with a reason: the backup is the way back, then.`,
});
