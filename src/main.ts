#!/usr/bin/env node
import { Command } from 'commander';
import { checkConfig } from './cli/check-config.ts';
import { serve } from './cli/serve.ts';
import { up } from './cli/up.ts';
import { work } from './cli/work.ts';
import { AppError } from './errors.ts';

type Verb = readonly [name: string, description: string, run: (file?: string) => Promise<void> | void];

const verbs: readonly Verb[] = [
  ['serve', 'run the HTTP API', serve],
  ['work', 'run a worker', work],
  ['up', 'run both in one process, on the embedded PostgreSQL when no control database is configured', up],
  ['check-config', 'print the effective configuration, without its secrets', checkConfig],
];

const program = new Command('switchback')
  .description('Deploys Prisma migrations to PostgreSQL: looked at first, backed up before, all or nothing.')
  .addHelpText('after', '\nExit codes: 0 done, 1 failed, 2 the configuration has faults.');
for (const [name, description, run] of verbs)
  program
    .command(name)
    .description(description)
    .option('-c, --config <file>', 'the configuration file (default: switchback.config.json)')
    .action(async ({ config }: { config?: string }) => run(config));

try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof AppError)) throw error;
  process.stderr.write(`${error.title} (${error.code}).\n${error.message}\n`);
  process.exitCode = error.code === 'CONFIG_INVALID' ? 2 : 1;
}
// Everything of ours is closed by now. What a library still tries (BullMQ reaches for a Redis that is away, for ever)
// must not keep a stopped process alive.
process.exit();
