/** The report for a person at a terminal. */
import type { MigrationAnalysis } from '../analyse.ts';
import type { Severity, Violation } from '../violation.ts';
import { SourceView } from './excerpt.ts';
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
import { cells, visible, visibleLines, wrap } from './visible.ts';

export interface TerminalOptions extends ReportOptions {
  readonly colour: boolean;
  /** Cells in a line. */
  readonly width: number;
}

type Style = Severity | 'bold' | 'dim' | 'gutter';
type Paint = (style: Style, text: string) => string;

const codes: Readonly<Record<Style, string>> = {
  dangerous: '1;31',
  caution: '1;33',
  safe: '1;32',
  notice: '1;36',
  bold: '1',
  dim: '2',
  gutter: '1;34',
};

const painter = (colour: boolean): Paint =>
  colour ? (style, text) => `\u001b[${codes[style]}m${text}\u001b[0m` : (_, text) => text;

export function toTerminal(report: Report, options: TerminalOptions): string {
  const paint = painter(options.colour);
  const width = Math.max(options.width, 40);
  const { analysis, sources } = report;
  const blocks = [
    ...shown(analysis.violations, options).map((violation) =>
      block(violation, 'the migrations folder', null, width, paint),
    ),
    ...analysis.migrations.flatMap(({ name, violations, statements }) => {
      const view = new SourceView(sources.get(name) ?? '', statements);
      const path = `${visible(name)}/migration.sql`;
      return shown(violations, options).map((violation) => block(violation, path, view, width, paint));
    }),
  ];
  return `${[...blocks, ending(report, options, paint)].join('\n\n')}\n`;
}

/** One violation: where, the line itself, what happens, what to do instead. */
function block(
  violation: Violation,
  path: string,
  view: SourceView | null,
  width: number,
  paint: Paint,
): string {
  const { rule, severity, line, column, message, remedy, suppressed } = violation;
  const style = suppressed === undefined ? severity : 'notice';
  const place = view === null ? path : `${path}:${line}:${column}`;
  const title = `${paint(style, `${suppressed === undefined ? severity : 'allowed'}[${visible(rule)}]`)} ${paint('bold', place)}`;
  const gutter = ' '.repeat(view === null ? 1 : String(line).length);
  const edge = (mark: string): string => `${gutter} ${paint('gutter', mark)}`;
  const room = width - gutter.length - 3;
  return [
    title,
    ...(view === null ? [] : excerptLines(view, violation, room, style, paint, edge)),
    ...wrap(visible(oneLine(message)), room).map((text, index) => `${edge(index === 0 ? '=' : ' ')} ${text}`),
    ...(suppressed === undefined
      ? remedyLines(remedy, room, edge, paint)
      : wrap(visible(oneLine(`Allowed: ${suppressed}`)), room).map((text) => `${edge(' ')} ${text}`)),
  ]
    .map((text) => text.trimEnd())
    .join('\n');
}

function excerptLines(
  view: SourceView,
  { line, column, suppressed, severity }: Violation,
  room: number,
  style: Style,
  paint: Paint,
  edge: (mark: string) => string,
): string[] {
  const { text, before, under } = view.at(line, column, room);
  // What counts is marked otherwise than what is allowed or only said.
  const mark = suppressed === undefined && severity !== 'notice' ? '^' : '~';
  return [
    edge('|'),
    `${paint('gutter', `${line} |`)} ${text}`,
    `${edge('|')} ${' '.repeat(before)}${paint(style, mark.repeat(under))}`,
    edge('|'),
  ];
}

function remedyLines(
  remedy: string | null,
  room: number,
  edge: (mark: string) => string,
  paint: Paint,
): string[] {
  if (remedy === null) return [];
  const lines = remedyParts(remedy).flatMap(({ sql, text }) =>
    // Statements are for copying: the terminal breaks them where it has to.
    sql ? visibleLines(text) : wrap(visible(oneLine(text)), room - 2),
  );
  return [`${edge('=')} ${paint('safe', 'remedy:')}`, ...lines.map((text) => `${edge(' ')}   ${text}`)];
}

const oneLine = (text: string): string => text.replace(/\s+/g, ' ').trim();

/** A line for each migration, and the sum. */
function ending(report: Report, options: TerminalOptions, paint: Paint): string {
  const { migrations, verdict } = report.analysis;
  const longest = Math.max(0, ...migrations.map(({ name }) => cells(visible(name))));
  return [
    ...migrations.map((migration) => verdictLine(migration, longest, options, paint)),
    ...(migrations.length === 0 ? [] : ['']),
    `${paint(verdict, verdict)}: ${verdictWords[verdict]}. ${totals(report)}`,
  ].join('\n');
}

function verdictLine(
  { name, verdict, effects, violations }: MigrationAnalysis,
  longest: number,
  options: TerminalOptions,
  paint: Paint,
): string {
  const listed = shown(violations, options);
  const allowed = listed.filter(({ suppressed }) => suppressed !== undefined).length;
  const facts = [
    ...effects.map(effectWords),
    ...(listed.length > allowed ? [plural(listed.length - allowed, 'violation')] : []),
    ...(allowed > 0 ? [`${allowed} allowed`] : []),
  ].join(', ');
  const text = visible(name);
  const label = `${paint(verdict, verdict)}${' '.repeat('dangerous'.length - verdict.length)}`;
  const padding = ' '.repeat(longest - cells(text));
  return `${label}  ${text}${facts === '' ? '' : `${padding}  ${paint('dim', facts)}`}`;
}
