import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { rmSync, writeFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseTarget, type Target } from '../db/target.ts';
import { type Embedded, startEmbedded } from '../embedded/embedded.ts';
import { AppError } from '../errors.ts';
import { rollbackFiles } from '../migrations/read.ts';
import { type Folder, readFolder } from '../migrations/read-folder.ts';
import { type ProvenMigration, proveMigrations } from '../rollback/prove.ts';
import { loadParser } from '../sql/parse.ts';

export interface ProveOptions {
  readonly format: 'terminal' | 'json';
  readonly rows: 'none' | 'generated';
  readonly since?: string;
  readonly databaseUrl?: string;
  readonly write?: true;
}

/**
 * `switchback prove`: tries the way back of each migration in scratch databases.
 * @returns the exit code: 0 when all are proven, 10 when one is not
 * @throws AppError when the folder cannot be read, or the server cannot be worked with
 */
export async function prove(given: string, options: ProveOptions): Promise<number> {
  const folder = readFolder(given);
  if (options.since !== undefined && !folder.migrations.some(({ name }) => name === options.since))
    throw new AppError('MIGRATION_NOT_FOUND', `${folder.directory} has no migration ${options.since}.`, {
      migration: options.since,
    });
  await loadParser();
  const { databaseUrl } = options;
  return databaseUrl === undefined
    ? onEmbedded((server) => proveOn(server, folder, options))
    : proveOn(parseTarget(databaseUrl), folder, options);
}

/** On a server of its own, which is gone afterwards. */
async function onEmbedded(work: (server: Target) => Promise<number>): Promise<number> {
  const wanted = await mkdtemp(path.join(tmpdir(), 'switchback-prove-'));
  let embedded: Embedded | null = null;
  try {
    embedded = await startEmbedded(wanted);
    return await work(parseTarget(await embedded.database('postgres')));
  } finally {
    await embedded?.stop();
    for (const used of new Set([wanted, embedded?.folder ?? wanted]))
      rmSync(used, { recursive: true, force: true });
  }
}

async function proveOn(server: Target, folder: Folder, options: ProveOptions): Promise<number> {
  const migrations = folder.migrations.map(({ name, sql }) => ({
    name,
    sql: sql.toString().replace(/^\uFEFF/, ''),
    files: filesBeside(folder, name),
  }));
  const { since } = options;
  const tried: ProvenMigration[] = [];
  const proofs = proveMigrations({
    server,
    from: 'empty',
    rows: options.rows,
    migrations,
    jobId: randomUUID(),
    signal: new AbortController().signal,
    ...(since === undefined ? {} : { since }),
  });
  for await (const one of proofs) {
    tried.push(one);
    if (options.write === true) writeRollback(folder, one);
    if (options.format === 'terminal') await print(lineOf(one));
  }
  const counts = countOf(tried);
  await print(
    options.format === 'json' ? `${JSON.stringify({ counts, migrations: tried })}\n` : summary(counts),
  );
  return tried.length > 0 && tried.every(({ outcome }) => outcome === 'proven') ? 0 : 10;
}

function filesBeside({ otherFiles }: Folder, name: string): ReadonlyMap<string, string> {
  return new Map(
    rollbackFiles.flatMap((file) => {
      const found = otherFiles.find((other) => other.path === `${name}/${file}`);
      return found === undefined ? [] : [[file, found.content.toString()] as const];
    }),
  );
}

/** Only what is proven, and only where nothing was written by hand. */
function writeRollback({ directory }: Folder, { name, outcome, source, sql }: ProvenMigration): void {
  if (outcome !== 'proven' || source !== 'generated') return;
  const text = `-- Takes ${name} back. Generated and proven by Switchback.\n${sql}\n`;
  writeFileSync(path.join(directory, name, 'rollback.sql'), text, { flag: 'wx' });
}

function lineOf({ name, outcome, source, reasons, on, compared }: ProvenMigration): string {
  const how = outcome === 'proven' ? `${source}, on ${onWhat(on, compared)}` : source;
  const more = [...reasons, ...compared.leftOut.map((what) => `left out: ${what}`)];
  return [`${outcome.padEnd(8)} ${name} (${how})`, ...more.map((line) => `         ${line}`), ''].join('\n');
}

const onWhat = (on: ProvenMigration['on'], { tables, rows }: ProvenMigration['compared']): string =>
  on === 'schema' || tables === 0
    ? 'the schema'
    : `${rows} generated rows of ${tables} ${tables === 1 ? 'table' : 'tables'}`;

const countOf = (tried: readonly ProvenMigration[]): Record<ProvenMigration['outcome'], number> => {
  const counts = { proven: 0, refused: 0, wrong: 0, failed: 0 };
  for (const { outcome } of tried) counts[outcome] += 1;
  return counts;
};

const summary = (counts: Record<string, number>): string =>
  `${Object.entries(counts)
    .map(([outcome, count]) => `${count} ${outcome}`)
    .join(', ')}\n`;

async function print(text: string): Promise<void> {
  if (!process.stdout.write(text)) await once(process.stdout, 'drain');
}
