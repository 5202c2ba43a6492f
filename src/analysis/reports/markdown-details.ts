/** What stands folded away below a comment: the folder in figures, and how good it is. */
import type { Quality } from '../quality.ts';
import type { Summary } from '../summary.ts';
import { block, code, table, words } from './markdown-text.ts';
import { plural, type Report } from './report.ts';

/** Migrations that are named for one answer, and files in the tree. */
const mostNames = 10;
const mostFiles = 50;

export const detailsOf = ({ summary, quality }: Report): string =>
  [
    '<details>\n<summary>Summary and quality</summary>',
    summaryOf(summary),
    qualityOf(quality),
    ...(summary.tree.length > mostFiles || summary.tree.length === 0 ? [] : [treeOf(summary)]),
    '</details>',
  ].join('\n\n');

const treeOf = ({ tree }: Summary): string =>
  block(
    tree.map(({ path, lines }) => `${String(lines).padStart(7)}  ${path.replace(/\s/g, ' ')}`).join('\n'),
    'text',
    20_000,
  );

function summaryOf(summary: Summary): string {
  const { migrations, files, lines, largest, recent, provider } = summary;
  return table(
    ['', ''],
    [
      ['migrations', String(migrations)],
      ['SQL files', `${files}, ${lines.toLocaleString('en')} lines`],
      ['largest', largest.map((one) => `${code(one.name)} (${plural(one.lines, 'line')})`).join(', ')],
      ['newest', recent.map((one) => `${code(one.name)} (${one.date})`).join(', ')],
      ['provider', provider === null ? 'none named' : code(provider)],
    ],
  );
}

const qualityOf = (quality: Quality): string =>
  table(
    ['quality', '', 'because'],
    quality.map(({ criterion, answer, explanation, evidence }) => {
      const names = [...new Set(evidence.flatMap(({ migration }) => migration ?? []))];
      const more = names.length > mostNames ? ` and ${names.length - mostNames} more` : '';
      const where = names.length === 0 ? '' : ` ${names.slice(0, mostNames).map(code).join(', ')}${more}`;
      return [criterion, answer, `${words(explanation)}${where}`];
    }),
  );
