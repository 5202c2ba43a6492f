/** The report as a comment on a pull request. */
import type { MigrationAnalysis } from '../analyse.ts';
import { type Severity, severities, type Violation } from '../violation.ts';
import { detailsOf } from './markdown-details.ts';
import { block, code, row, table, words } from './markdown-text.ts';
import { remedyParts } from './remedy.ts';
import {
  effectWords,
  plural,
  type Report,
  type ReportOptions,
  shown,
  totals,
  verdictWords,
} from './report.ts';

export interface MarkdownOptions extends ReportOptions {
  /** At most so many characters; GitHub takes 65,536. */
  readonly limit?: number;
  /** Where a rule is explained; without it rules are named only. */
  readonly ruleUrl?: (rule: string) => string;
}

/** A text of a rule, and a statement in a remedy, that are longer are cut. */
const longest = 2000;

export function toMarkdown(report: Report, options: MarkdownOptions = {}): string {
  const { limit = 60_000 } = options;
  const { verdict, migrations, violations } = report.analysis;
  const head = `## Migrations: ${verdict}\n\n${verdictLine(report)}`;
  const details = detailsOf(report);
  // What is left out is said at the end, in a line of its own.
  const budget = new Budget(limit - 200);
  budget.take(head);
  const withDetails = budget.take(details);
  const rows = overview(migrations, options, budget.part(0.4));
  budget.take(rows.text);
  const sections = [
    { title: 'The folder', violations: shown(violations, options), isFile: false },
    ...migrations.map((migration) => ({
      title: `${code(migration.name)}: ${migration.verdict}`,
      violations: worthASection(migration) ? shown(migration.violations, options) : [],
      isFile: true,
    })),
  ].map(({ title, violations: own, isFile }) => ({
    title: `### ${title}`,
    items: own.map((violation) => ({ violation, text: violationText(violation, isFile, options) })),
  }));
  const chosen = choose(sections, budget);
  const all = sections.reduce((sum, { items }) => sum + items.length, 0);
  return [
    head,
    ...(rows.text === '' ? [] : [rows.text]),
    ...sections.flatMap(({ title, items }) => {
      const kept = items.filter((item) => chosen.has(item)).map(({ text }) => text);
      return kept.length === 0 ? [] : [title, ...kept];
    }),
    ...leftOut(rows.leftOut, all - chosen.size),
    ...(withDetails ? [details] : []),
  ]
    .join('\n\n')
    .concat('\n');
}

interface Item {
  readonly violation: Violation;
  readonly text: string;
}
interface Section {
  readonly title: string;
  readonly items: readonly Item[];
}

/** Counts the characters that are still free. */
class Budget {
  #free: number;

  constructor(free: number) {
    this.#free = free;
  }

  /** Whether the block fits, with the empty line behind it. */
  take(text: string): boolean {
    if (text.length + 2 > this.#free) return false;
    this.#free -= text.length + 2;
    return true;
  }

  part = (share: number): number => Math.floor(this.#free * share);
}

const verdictLine = (report: Report): string => {
  const { verdict, basis } = report.analysis;
  return [
    `**${verdictWords[verdict].replace(/^./, (letter) => letter.toUpperCase())}.** ${totals(report)}`,
    ...(basis.facts ? [] : ['Judged without the figures of a database: sizes are not known.']),
  ].join(' ');
};

/** One row for each migration; where they are too many, those that are safe give way first. */
function overview(
  migrations: readonly MigrationAnalysis[],
  options: MarkdownOptions,
  limit: number,
): { text: string; leftOut: number } {
  if (migrations.length === 0) return { text: '', leftOut: 0 };
  const head = ['migration', 'verdict', 'effects', 'violations'];
  const rows = migrations.map((migration) => ({ migration, text: row(cells(migration, options)) }));
  const budget = new Budget(limit - table(head, []).length);
  const kept = new Set(
    worstFirst(rows, ({ migration }) => migration.verdict).filter(({ text }) => budget.take(text)),
  );
  const text = [table(head, []), ...rows.filter((one) => kept.has(one)).map((one) => one.text)].join('\n');
  return { text, leftOut: rows.length - kept.size };
}

function cells(
  { name, verdict, effects, violations }: MigrationAnalysis,
  options: MarkdownOptions,
): string[] {
  const listed = shown(violations, options);
  const allowed = listed.filter(({ suppressed }) => suppressed !== undefined).length;
  return [
    code(name),
    verdict === 'safe' ? verdict : `**${verdict}**`,
    effects.map(effectWords).join(', '),
    `${listed.length - allowed}${allowed === 0 ? '' : ` (and ${allowed} allowed)`}`,
  ];
}

/** What a comment allows has to be seen by whoever reviews the file. */
const worthASection = ({ verdict, violations }: MigrationAnalysis): boolean =>
  verdict !== 'safe' || violations.some(({ suppressed }) => suppressed !== undefined);

function violationText(violation: Violation, isFile: boolean, { ruleUrl }: MarkdownOptions): string {
  const { rule, severity, line, message, remedy, suppressed } = violation;
  const name = ruleUrl === undefined ? code(rule) : `[${code(rule)}](<${encodeURI(ruleUrl(rule))}>)`;
  const place = `${isFile ? ` · line ${line}` : ''} · ${name}`;
  const said = shortWords(message);
  if (suppressed !== undefined) return `**allowed**${place}: ${said}\n\nReason: ${shortWords(suppressed)}`;
  const help = remedy === null ? [] : remedyParts(remedy).map(remedyText);
  return [`**${severity}**${place}: ${said}`, ...help].join('\n\n');
}

const shortWords = (text: string): string =>
  words(text.length > longest ? `${text.slice(0, longest)}…` : text);

const remedyText = ({ sql, text }: { sql: boolean; text: string }, index: number): string =>
  sql
    ? `${index === 0 ? 'Instead:\n\n' : ''}${block(text, 'sql', longest)}`
    : `${index === 0 ? 'Instead: ' : ''}${shortWords(text)}`;

/** The worst first, until no more fits. */
function choose(sections: readonly Section[], budget: Budget): Set<Item> {
  const chosen = new Set<Item>();
  const begun = new Set<Section>();
  const all = sections.flatMap((section) => section.items.map((item) => ({ section, item })));
  for (const { section, item } of worstFirst(all, ({ item: { violation } }) => weight(violation))) {
    const title = begun.has(section) ? '' : `${section.title}\n\n`;
    if (!budget.take(`${title}${item.text}`)) continue;
    chosen.add(item);
    begun.add(section);
  }
  return chosen;
}

const weight = ({ severity, suppressed }: Violation): Severity =>
  suppressed === undefined ? severity : 'notice';

const worstFirst = <T>(items: readonly T[], of: (item: T) => Severity): T[] =>
  [...items].sort((a, b) => severities.indexOf(of(b)) - severities.indexOf(of(a)));

function leftOut(migrations: number, violations: number): string[] {
  const parts = [
    ...(migrations === 0 ? [] : [plural(migrations, 'migration')]),
    ...(violations === 0 ? [] : [plural(violations, 'violation')]),
  ];
  return parts.length === 0
    ? []
    : [
        `**${parts.join(' and ')} left out**, because a comment has no room for more. The JSON report has all.`,
      ];
}
