/** What all forms of a report are made from, and the figures that they share. */
import type { Analysis, StatementAnalysis } from '../analyse.ts';
import { assessQuality, type Quality } from '../quality.ts';
import { type FolderFile, type Summary, summarise } from '../summary.ts';
import type { Effect, Verdict, Violation } from '../violation.ts';

export interface Report {
  readonly analysis: Analysis;
  readonly summary: Summary;
  readonly quality: Quality;
  /** The migrations' texts by name, with the lines and columns that violations name. */
  readonly sources: ReadonlyMap<string, string>;
}

export interface ReportInput {
  readonly analysis: Analysis;
  /** In the order in which they are applied. */
  readonly migrations: readonly { readonly name: string; readonly sql: Buffer | string }[];
  /** All files of the folder; none where there is no folder. */
  readonly files?: readonly FolderFile[];
  /** Content of `migration_lock.toml`; null where it is missing, undefined where there is no folder to hold it. */
  readonly lockFile?: string | null;
}

export interface ReportOptions {
  /** Show opinions too, which have no part in a verdict. */
  readonly notices?: boolean;
}

export function makeReport({ analysis, migrations, files = [], lockFile }: ReportInput): Report {
  // As the analyser reads it: a byte order mark is no column.
  const texts = migrations.map(({ name, sql }) => ({ name, sql: sql.toString().replace(/^\uFEFF/, '') }));
  return {
    analysis,
    summary: summarise({ migrations: texts, files, lockFile: lockFile ?? null }),
    quality: assessQuality({ analysis, migrations: texts, lockFile }),
    sources: new Map(texts.map(({ name, sql }) => [name, sql])),
  };
}

/** The violations that a report shows. */
export const shown = (violations: readonly Violation[], { notices = false }: ReportOptions): Violation[] =>
  violations.filter(({ severity }) => notices || severity !== 'notice');

export const allViolations = ({ migrations, violations }: Analysis): Violation[] => [
  ...violations,
  ...migrations.flatMap((migration) => migration.violations),
];

/** The statement in which a place stands, or the last one before it. They are in the file's order, and may be many. */
export function statementAt(
  statements: readonly StatementAnalysis[],
  line: number,
  column: number,
): StatementAnalysis | undefined {
  let [low, high] = [0, statements.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    const one = statements[middle];
    const isBefore = one !== undefined && (one.line < line || (one.line === line && one.column <= column));
    if (isBefore) low = middle + 1;
    else high = middle;
  }
  return statements[low - 1];
}

/** `3 migrations: 1 dangerous, 2 safe. 2 violations, 1 more allowed in its file.` */
export function totals({ analysis }: Report): string {
  const { migrations } = analysis;
  const verdicts = (['dangerous', 'caution', 'safe'] as const)
    .map((verdict) => ({ verdict, count: migrations.filter((one) => one.verdict === verdict).length }))
    .filter(({ count }) => count > 0)
    .map(({ verdict, count }) => `${count} ${verdict}`);
  const counted = allViolations(analysis).filter(({ severity }) => severity !== 'notice');
  const allowed = counted.filter(({ suppressed }) => suppressed !== undefined).length;
  return [
    `${plural(migrations.length, 'migration')}${verdicts.length === 0 ? '' : `: ${verdicts.join(', ')}`}. `,
    plural(counted.length - allowed, 'violation'),
    allowed === 0 ? '.' : `, ${allowed} more allowed by a comment.`,
  ].join('');
}

export const plural = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`;

/** `breaks old version` for `breaksOldVersion`. */
export const effectWords = (effect: Effect): string =>
  effect.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);

/** What a verdict asks of its reader. */
export const verdictWords: Readonly<Record<Verdict, string>> = {
  safe: 'nothing here blocks the application or loses data',
  caution: 'look at these before they are deployed',
  dangerous: 'do not deploy these as they are',
};
