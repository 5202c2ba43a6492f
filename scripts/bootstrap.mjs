// Runs before demo, start and tests, with nothing but Node: packages, the generated client, PostgreSQL's client programs.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { generateClient } from './generate-client.mjs';

const root = path.resolve(import.meta.dirname, '..');
/** Of the embedded server: client programs must not be older. */
const serverMajor = 15;
const programs = ['pg_dump', 'pg_restore', 'psql'];

const say = (text) => process.stderr.write(`${text}\n`);

function fail(text) {
  say(text);
  process.exit(1);
}

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < 20 || (major === 20 && minor < 20))
    fail(`Node 20.20 or newer is needed; this is ${process.versions.node}.`);
}

/** `npm ci` where node_modules is absent or older than the lock file. */
export function packagesAreCurrent(folder) {
  const lock = path.join(folder, 'package-lock.json');
  const installed = path.join(folder, 'node_modules/.package-lock.json');
  return existsSync(installed) && statSync(installed).mtimeMs >= statSync(lock).mtimeMs;
}

function installPackages() {
  if (packagesAreCurrent(root)) return;
  say('Installing packages: npm ci');
  const { status } = spawnSync('npm', ['ci', '--no-audit', '--no-fund'], {
    cwd: root,
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32',
  });
  if (status !== 0) fail('npm ci failed.');
}

/** Folders in which PostgreSQL's programs usually are, beside the PATH. */
function usualPlaces() {
  const below = (folder, tail) =>
    existsSync(folder) ? readdirSync(folder).map((name) => path.join(folder, name, tail)) : [];
  return [
    ...below('/usr/lib/postgresql', 'bin'),
    ...below('/Library/PostgreSQL', 'bin'),
    ...below('/opt/homebrew/opt', 'bin').filter((folder) => /postgresql|libpq/.test(folder)),
    ...below('/usr/local/opt', 'bin').filter((folder) => /postgresql|libpq/.test(folder)),
    '/usr/local/pgsql/bin',
  ];
}

function majorOf(program) {
  const { status, stdout } = spawnSync(program, ['--version'], { encoding: 'utf8' });
  return status === 0 ? Number(/\(PostgreSQL\) (\d+)/.exec(stdout)?.[1] ?? 0) : 0;
}

/** The first folder that has all programs, new enough; undefined where there is none. */
export function findPrograms(env = process.env) {
  const named = env.PG_BIN_DIR
    ? [env.PG_BIN_DIR]
    : [...(env.PATH ?? '').split(path.delimiter).filter(Boolean), ...usualPlaces()];
  return named.find((folder) =>
    programs.every(
      (program) =>
        existsSync(path.join(folder, program)) && majorOf(path.join(folder, program)) >= serverMajor,
    ),
  );
}

function installPrograms() {
  if (findPrograms() !== undefined) return;
  if (process.env.PG_BIN_DIR)
    fail(
      `PG_BIN_DIR (${process.env.PG_BIN_DIR}) has no ${programs.join(', ')} of PostgreSQL ${serverMajor} or newer.`,
    );
  const debian = existsSync('/etc/debian_version') && existsSync('/usr/bin/apt-get');
  if (debian && process.getuid?.() === 0 && process.env.SWITCHBACK_NO_INSTALL !== '1') {
    say(
      "PostgreSQL's client programs are missing. Installing them: apt-get install postgresql-client (SWITCHBACK_NO_INSTALL=1 forbids this)",
    );
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    spawnSync('apt-get', ['update', '-qq'], { stdio: ['ignore', 2, 2], env });
    spawnSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', 'postgresql-client'], {
      stdio: ['ignore', 2, 2],
      env,
    });
    if (findPrograms() !== undefined) return;
  }
  fail(
    `PostgreSQL's client programs (${programs.join(', ')}, ${serverMajor} or newer) are missing. Install them:\n  ${installCommand(debian)}`,
  );
}

function installCommand(debian) {
  if (debian) return 'sudo apt-get install postgresql-client';
  if (process.platform === 'darwin') return 'brew install libpq';
  if (existsSync('/etc/alpine-release')) return 'apk add postgresql-client';
  if (existsSync('/etc/redhat-release') || existsSync('/etc/fedora-release'))
    return 'sudo dnf install postgresql';
  return 'https://www.postgresql.org/download/ (or name their folder in PG_BIN_DIR)';
}

if (process.argv[1] === import.meta.filename) {
  checkNode();
  installPackages();
  generateClient();
  installPrograms();
}
