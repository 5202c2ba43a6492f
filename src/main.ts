#!/usr/bin/env node
import { setFlagsFromString } from 'node:v8';
import { Command, Option } from 'commander';
import type { AnalyseOptions } from './cli/analyse.ts';
import type { ProveOptions } from './cli/prove.ts';
import { AppError } from './errors.ts';

// Each verb is loaded when it is asked for: a report on a folder has no need of a server's libraries.
type Run = (file?: string) => Promise<void> | void;
type Verb = readonly [name: string, description: string, load: () => Promise<Run>];

const verbs: readonly Verb[] = [
  ['serve', 'run the HTTP API', async () => (await import('./cli/serve.ts')).serve],
  ['work', 'run a worker', async () => (await import('./cli/work.ts')).work],
  [
    'up',
    'run both in one process, on the embedded PostgreSQL when no control database is configured',
    async () => (await import('./cli/up.ts')).up,
  ],
  [
    'check-config',
    'print the effective configuration, without its secrets',
    async () => (await import('./cli/check-config.ts')).checkConfig,
  ],
];

const program = new Command('switchback')
  .description('Deploys Prisma migrations to PostgreSQL: looked at first, backed up before, all or nothing.')
  .addHelpText(
    'after',
    '\nExit codes: 0 done, 1 failed, 2 the configuration has faults. "analyse" and "prove" have their own.',
  );
for (const [name, description, load] of verbs)
  program
    .command(name)
    .description(description)
    .option('-c, --config <file>', 'the configuration file (default: switchback.config.json)')
    .action(async ({ config }: { config?: string }) => (await load())(config));

const verdicts = ['safe', 'caution', 'dangerous'];
program
  .command('analyse')
  .description('judge a folder of migrations, without a database')
  .argument('<folder>', 'the migrations directory, or the project that has it')
  .addOption(
    new Option('--format <format>', 'how to print the report')
      .choices(['terminal', 'json', 'markdown', 'sarif'])
      .default('terminal'),
  )
  .addOption(
    new Option('--fail-on <verdict>', 'end with exit code 10 where the verdict is this one or worse')
      .choices([...verdicts, 'never'])
      .default('dangerous'),
  )
  .option('--only <names...>', 'judge only these migrations; the others are followed for the schema')
  .option('--previous-schema <file>', 'the Prisma schema file of the release that still runs')
  .option('--schema <name>', 'the schema in which unqualified names are made (default: public)')
  .option('--notices', 'show opinions too, which have no part in a verdict')
  .option('--policy <file>', 'severities of rules, and thresholds, as JSON')
  .option('--rules <module>', 'a module with rules of your own')
  .addHelpText('after', '\nExit codes: 0 done, 10 the verdict reaches --fail-on, 2 failed.')
  // Here 1 would say nothing that 2 does not: whoever asks wants to know whether there is a verdict.
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2))
  .action(async (folder: string, options: AnalyseOptions) => {
    try {
      // The parser is compiled while the rest is loaded.
      // One pass over the files ends before an optimised parser has paid for its compilation.
      setFlagsFromString('--liftoff-only');
      const { loadParser } = await import('./sql/parse.ts');
      const [{ analyse }] = await Promise.all([import('./cli/analyse.ts'), loadParser()]);
      process.exitCode = await analyse(folder, options);
    } catch (error) {
      tell(error);
      process.exitCode = 2;
    }
  });

program
  .command('prove')
  .description('try the way back of each migration of a folder, in scratch databases')
  .argument('<folder>', 'the migrations directory, or the project that has it')
  .addOption(
    new Option('--format <format>', 'how to print the result')
      .choices(['terminal', 'json'])
      .default('terminal'),
  )
  .addOption(
    new Option('--rows <rows>', 'what is in the tables that a migration has to do with')
      .choices(['none', 'generated'])
      .default('generated'),
  )
  .option('--since <migration>', 'the first that is tried; those before it are only applied')
  .option('--database-url <url>', 'a server to make the scratch databases on (default: an embedded one)')
  .option('--write', 'put generated rollbacks that are proven beside their migrations, as rollback.sql')
  .addHelpText('after', '\nExit codes: 0 all are proven, 10 one is not, 2 failed.')
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2))
  .action(async (folder: string, options: ProveOptions) => {
    try {
      const { prove } = await import('./cli/prove.ts');
      process.exitCode = await prove(folder, options);
    } catch (error) {
      tell(error);
      process.exitCode = 2;
    }
  });

try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof AppError)) throw error;
  tell(error);
  process.exitCode = error.code === 'CONFIG_INVALID' ? 2 : 1;
}
// Everything of ours is closed by now. What a library still tries (BullMQ reaches for a Redis that is away, for ever)
// must not keep a stopped process alive.
process.exit();

function tell(error: unknown): void {
  const text =
    error instanceof AppError
      ? `${error.title} (${error.code}).\n${error.message}`
      : `Something went wrong inside Switchback.\n${error instanceof Error ? error.stack : String(error)}`;
  process.stderr.write(`${text}\n`);
}
