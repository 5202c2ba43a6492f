/** Text out of files for Markdown on GitHub: nothing in it becomes markup, a link, or a mention of somebody. */
import { visible, visibleLines } from './visible.ts';

/** Words on one line, fit for a table's cell too. */
export const words = (text: string): string =>
  visible(text.replace(/\s+/g, ' ').trim())
    .replace(/&/g, '&amp;')
    .replace(/</g, '&lt;')
    .replace(/>/g, '&gt;')
    .replace(/[\\`*_{}[\]|~!]/g, '\\$&')
    // A comment takes the meaning of a mention, of a number and of an address, and is not seen.
    .replace(/@|#(?=\d)|\b(?:GH-(?=\d)|www(?=\.)|(?:https?|ftp)(?=:))/gi, '$&<!-- -->')
    // GitHub reads formulas before it reads escapes.
    .replace(/\$/g, '&#36;')
    // At a line's beginning these would make a list or a heading.
    .replace(/^[-+#=]|^\d+(?=[.)])/, (mark) => (/\d/.test(mark) ? `${mark}\\` : `\\${mark}`));

/** A name as code. */
export function code(text: string): string {
  const line = visible(text.replace(/\s+/g, ' '));
  const fence = '`'.repeat(longestRun(line) + 1);
  return line === '' ? '' : fence.length > 1 ? `${fence} ${line} ${fence}` : `${fence}${line}${fence}`;
}

/** A block of code, cut where it is longer than `limit` characters. */
export function block(source: string, language: 'sql' | 'text', limit: number): string {
  const cut =
    source.length > limit
      ? `${source.slice(0, limit)}\n-- … ${source.length - limit} characters more`
      : source;
  const text = visibleLines(cut).join('\n');
  const fence = '`'.repeat(Math.max(3, longestRun(text) + 1));
  return `${fence}${language}\n${text}\n${fence}`;
}

export const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows].map(row).join('\n');

/** A bar ends a cell even in code, but for a backslash before it. */
export const row = (values: readonly string[]): string =>
  `| ${values.map((value) => value.replace(/(?<!\\)\|/g, '\\|')).join(' | ')} |`;

const longestRun = (text: string): number =>
  Math.max(0, ...Array.from(text.matchAll(/`+/g), ([run]) => run.length));
