import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { analyse as judge } from '../src/analysis/analyse.ts';
import { checksum } from '../src/migrations/checksum.ts';
import { loadParser } from '../src/sql/parse.ts';
import { closeRunFolder, openRunFolder } from '../test/support/run-folder.ts';
import { defineBench, fastest, type Measurement, time } from './define-bench.ts';
import { writeLongMigration, writeMigrations } from './migrations.ts';

const rounds = 7;
const folders = [1_000, 2_500, 5_000] as const;
const lines = 400;
/** Migrations before the long one, whose tables it changes. */
const before = 60;
/** Migrations of your own in place of the thousand that are made up. */
const ownFolder = process.env.SWITCHBACK_BENCH_FOLDER;

const root = path.resolve(import.meta.dirname, '..');

export const analyse = defineBench({
  name: 'analyse',
  summary: `a folder of migrations judged by all rules, the command's start included, the fastest of ${rounds} rounds that take turns`,
  run: async () => {
    await run('npm', ['run', '--silent', 'build'], root);
    const place = await openRunFolder();
    try {
      return [await besideSquawk(place), await growth(place), await oneLongMigration()].flat();
    } finally {
      await closeRunFolder(place);
    }
  },
});

/** Both are given the same files, and both answer as JSON. */
async function besideSquawk(place: string): Promise<Measurement[]> {
  const folder = ownFolder ?? (await write(place, folders[0]));
  const files = (await readdir(folder, { recursive: true }))
    .filter((name) => name.endsWith('migration.sql'))
    .map((name) => path.join(folder, name));
  const squawk = squawkBinary();
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    ours.push(await time(() => runAnalyse(folder)));
    theirs.push(await time(() => run(squawk, ['--reporter', 'json', ...files], folder)));
  }
  return [
    {
      what: `${files.length.toLocaleString('en')} migrations`,
      value: fastest(ours),
      unit: 'ms',
      reference: { what: 'squawk', value: fastest(theirs) },
      bound: { atMost: 1 },
    },
  ];
}

/** Five times as many migrations take at most five times as long. */
async function growth(place: string): Promise<Measurement[]> {
  const places = await Promise.all(folders.map((count) => write(place, count)));
  const times = folders.map((): number[] => []);
  for (let round = 0; round < rounds; round += 1)
    for (const [index, folder] of places.entries()) times[index]?.push(await time(() => runAnalyse(folder)));
  const [least = 0, ...more] = times.map(fastest);
  return more.map((value, index) => {
    const count = folders[index + 1] ?? 0;
    return {
      what: `${count.toLocaleString('en')} migrations`,
      value,
      unit: 'ms',
      reference: {
        what: `${count / folders[0]} times what ${folders[0].toLocaleString('en')} take`,
        value: (least * count) / folders[0],
      },
      bound: { atMost: 1.1 },
    };
  });
}

async function oneLongMigration(): Promise<Measurement[]> {
  await loadParser();
  const migrations = writeLongMigration(before, lines).map(({ name, sql }) => {
    const bytes = Buffer.from(sql);
    return { name, sql: bytes, checksum: checksum(bytes) };
  });
  const long = migrations.slice(-1);
  const times: number[] = [];
  for (let round = 0; round < 30; round += 1) times.push(await time(async () => judge({ migrations: long })));
  return [
    {
      what: `one migration of ${lines} lines, warm`,
      value: fastest(times),
      unit: 'ms',
      bound: { atMost: 30 },
    },
  ];
}

async function write(place: string, count: number): Promise<string> {
  const folder = path.join(place, `migrations-${count}`);
  await mkdir(folder, { recursive: true });
  await writeFile(path.join(folder, 'migration_lock.toml'), 'provider = "postgresql"\n');
  for (const { name, sql } of writeMigrations(count)) {
    await mkdir(path.join(folder, name), { recursive: true });
    await writeFile(path.join(folder, name, 'migration.sql'), sql);
  }
  return folder;
}

const runAnalyse = (folder: string): Promise<void> =>
  run(
    process.execPath,
    [path.join(root, 'dist/main.js'), 'analyse', folder, '--format', 'json', '--fail-on', 'never'],
    root,
  );

/** The program itself: what npm puts before it starts another Node first. */
function squawkBinary(): string {
  const { resolve } = createRequire(createRequire(import.meta.url).resolve('squawk-cli/package.json'));
  const name = `@squawk-cli/${process.platform}-${process.arch}/package.json`;
  return path.join(path.dirname(resolve(name)), 'bin/squawk');
}

/** Reads all that the program prints, as whoever asks for it does. 1 is squawk's code where it has found something. */
async function run(program: string, args: readonly string[], cwd: string): Promise<void> {
  const child = spawn(program, args, { cwd, stdio: ['ignore', 'pipe', 'inherit'] });
  child.stdout.resume();
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0 && code !== 1) throw new Error(`${program} ended with ${code}`);
}
