/** Executes folders of migrations and compares what happened with what the analyser says: `npm run truth -- <folder>…` */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { launchServer, type Major } from '../support/launch.ts';
import { closeRunFolder, dropRunFolder, openRunFolder } from '../support/run-folder.ts';
import { type Analysis, compare } from './compare.ts';
import type { Observation } from './observation.ts';
import { observeFolder } from './observe.ts';
import { describeComparison, describeObservations } from './report.ts';

const usage = `npm run truth -- <folder>… [options]
  --observe <file>       write the observations there
  --observations <file>  compare with these instead of executing the folders
  --only-observe         do not compare
  --analysis <file>      the analyser's JSON, instead of running it; one for each folder, in their order
  --major <number>       PostgreSQL's major version (17)`;

interface Observed {
  readonly folder: string;
  readonly postgres: number;
  readonly seconds: number;
  readonly observations: readonly Observation[];
}

const { values: options, positionals: folders } = parseArgs({
  allowPositionals: true,
  options: {
    observe: { type: 'string' },
    observations: { type: 'string' },
    'only-observe': { type: 'boolean', default: false },
    analysis: { type: 'string', multiple: true, default: [] },
    major: { type: 'string', default: '17' },
  },
});

async function main(): Promise<void> {
  if (folders.length === 0 && options.observations === undefined) throw new Error(usage);
  const observed =
    options.observations === undefined
      ? await observeAll(folders, Number(options.major) as Major)
      : (JSON.parse(readFileSync(options.observations, 'utf8')) as Observed[]);
  if (options.observe !== undefined) writeFileSync(options.observe, `${JSON.stringify(observed, null, 1)}\n`);
  for (const { folder, observations } of observed) console.log(describeObservations(folder, observations));
  if (options['only-observe']) return;
  for (const [index, { folder, observations }] of observed.entries()) {
    const file = options.analysis[index];
    const analysis =
      file === undefined ? analyse(folder) : (JSON.parse(readFileSync(file, 'utf8')) as Analysis);
    console.log(describeComparison(folder, compare(observations, analysis)));
  }
}

async function observeAll(all: readonly string[], major: Major): Promise<Observed[]> {
  const runFolder = await openRunFolder();
  process.once('exit', () => dropRunFolder(runFolder));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
  try {
    // One statement may lock every table there is; nobody else works here.
    const server = await launchServer(runFolder, major, {
      max_locks_per_transaction: '2000',
      max_connections: '20',
      autovacuum: 'off',
      jit: 'off',
      synchronous_commit: 'off',
      shared_buffers: '128MB',
    });
    const observed: Observed[] = [];
    for (const folder of all) observed.push(await observeOne(folder, server.url('postgres'), major));
    return observed;
  } finally {
    await closeRunFolder(runFolder);
  }
}

async function observeOne(folder: string, server: string, postgres: Major): Promise<Observed> {
  const startedAt = performance.now();
  const observations = await observeFolder(folder, server, {
    report: ({ name, outcome, error }, done, of) => {
      if (outcome !== 'applied') console.error(`${done}/${of} ${name}: ${outcome}: ${error}`);
    },
    unfilled: (table, reason) => console.error(`  no rows in ${table}: ${reason}`),
  });
  const seconds = Math.round((performance.now() - startedAt) / 1000);
  return { folder: path.resolve(folder), postgres, seconds, observations };
}

function analyse(folder: string): Analysis {
  const run = spawnSync(
    process.execPath,
    ['--import', 'tsx', 'src/main.ts', 'analyse', folder, '--format', 'json', '--fail-on', 'never'],
    { encoding: 'utf8', maxBuffer: 2 ** 30 },
  );
  if (run.status !== 0) throw new Error(`The analyser ended with ${run.status}: ${run.stderr}`);
  return JSON.parse(run.stdout) as Analysis;
}

await main();
