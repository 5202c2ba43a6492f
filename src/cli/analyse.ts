import path from 'node:path';
import { analyse as judge } from '../analysis/analyse.ts';
import { makeReport } from '../analysis/reports/report.ts';
import { countLines } from '../analysis/summary.ts';
import { isWorse, type Verdict } from '../analysis/violation.ts';
import { AppError } from '../errors.ts';
import { readRules } from '../jobs/analysis/custom-rules.ts';
import { type Folder, readFolder } from '../migrations/read-folder.ts';
import { readPolicy, readPreviousSchema } from './analyse-inputs.ts';
import { type Format, render } from './analyse-render.ts';

export interface AnalyseOptions {
  readonly format: Format;
  readonly failOn: Verdict | 'never';
  readonly previousSchema?: string;
  readonly only?: readonly string[];
  readonly notices?: true;
  readonly schema?: string;
  readonly policy?: string;
  readonly rules?: string;
}

/**
 * `switchback analyse`: judges a folder of migrations. It needs no server, no database and no configuration, but that
 * `loadParser` has run.
 * @returns the exit code
 */
export async function analyse(given: string, options: AnalyseOptions): Promise<number> {
  const folder = readFolder(given);
  const customRules = options.rules === undefined ? [] : await readRules(options.rules);
  const policy = options.policy === undefined ? undefined : await readPolicy(options.policy, customRules);
  const previous = options.previousSchema === undefined ? null : readPreviousSchema(options.previousSchema);
  const reported = options.only === undefined ? undefined : namesOf(options.only, folder);
  const { migrations, lockFile } = folder;
  const analysis = judge({
    migrations,
    reported,
    defaultSchema: options.schema,
    policy,
    previous,
    lockFile,
    customRules,
  });
  const report = makeReport({ analysis, migrations, files: filesOf(folder), lockFile });
  const { format, notices = false } = options;
  await print(await render(report, { format, notices, directory: folder.directory, customRules }));
  return reaches(analysis.verdict, options.failOn) ? 10 : 0;
}

const reaches = (verdict: Verdict, limit: Verdict | 'never'): boolean =>
  limit !== 'never' && !isWorse(limit, verdict);

/** Names of migrations; paths to them or to their files, as version control tells them, will do too. */
function namesOf(given: readonly string[], { directory, migrations }: Folder): ReadonlySet<string> {
  const names = given.map((text) => path.basename(text.replace(/[/\\]migration\.sql$/, '')));
  const known = new Set(migrations.map(({ name }) => name));
  const unknown = names.filter((name) => !known.has(name));
  if (unknown.length > 0)
    throw new AppError('MIGRATION_NOT_FOUND', `${directory} has no migration ${unknown.join(', ')}.`, {
      migrations: unknown,
    });
  return new Set(names);
}

const filesOf = ({ otherFiles }: Folder): { path: string; lines: number; bytes: number }[] =>
  otherFiles.map(({ path: file, content }) => ({
    path: file,
    lines: countLines(content.toString('latin1')),
    bytes: content.length,
  }));

/** Waits until all of it is written: the process ends right after. A reader that has seen enough is no failure. */
async function print(text: string): Promise<void> {
  const { stdout } = process;
  await new Promise<void>((resolve, reject) => {
    const settle = (error?: Error | null): void => {
      if (error == null || (error as NodeJS.ErrnoException).code === 'EPIPE') resolve();
      else reject(error);
    };
    stdout.once('error', settle);
    stdout.write(text, settle);
  });
}
