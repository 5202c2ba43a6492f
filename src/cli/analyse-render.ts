import { existsSync, realpathSync } from 'node:fs';
import path from 'node:path';
import type { Rule } from '../analysis/define-rule.ts';
import type { Report } from '../analysis/reports/report.ts';
import { version } from '../version.ts';

export type Format = 'terminal' | 'json' | 'markdown' | 'sarif';

interface Rendering {
  readonly format: Format;
  readonly notices: boolean;
  readonly directory: string;
  readonly customRules: readonly Rule[];
}

/** The report as it is printed. Only what the format needs is loaded. */
export async function render(report: Report, rendering: Rendering): Promise<string> {
  const { format, notices, directory, customRules } = rendering;
  switch (format) {
    case 'json': {
      const { toJson } = await import('../analysis/reports/json.ts');
      return `${JSON.stringify(toJson(report, { notices }))}\n`;
    }
    case 'markdown': {
      const { toMarkdown } = await import('../analysis/reports/markdown.ts');
      return `${toMarkdown(report, { notices }).trimEnd()}\n`;
    }
    case 'sarif': {
      const { toSarif } = await import('../analysis/reports/sarif.ts');
      const options = { notices, version, prefix: withinRepository(directory), customRules };
      return `${JSON.stringify(toSarif(report, options))}\n`;
    }
    case 'terminal': {
      const { toTerminal } = await import('../analysis/reports/terminal.ts');
      const { stdout } = process;
      // What is not a terminal has no colours, whatever the environment says.
      const colour = stdout.isTTY && stdout.hasColors();
      return toTerminal(report, { notices, colour, width: Math.min(stdout.columns ?? 100, 120) });
    }
  }
}

/** A directory's path below its Git repository, or else below the working directory, with `/`. */
function withinRepository(directory: string): string {
  const absolute = realpathSync(directory);
  let root = absolute;
  while (!existsSync(path.join(root, '.git')) && root !== path.dirname(root)) root = path.dirname(root);
  const from = existsSync(path.join(root, '.git')) ? root : process.cwd();
  return path.relative(from, absolute).split(path.sep).join('/');
}
