// Runs before start, demo and tests, with nothing but Node: installs the packages, makes the generated client, finds or
// installs PostgreSQL's client programs. Silent when all is there.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { generateClient } from './generate-client.mjs';

/** Of the embedded server: pg_dump refuses a server that is newer than itself. */
const serverMajor = 15;
const programs = ['pg_dump', 'pg_restore', 'psql'];

/** A reason to stop that needs no stack trace. */
class Refusal extends Error {}

const say = (text) => process.stderr.write(`${text}\n`);

/** Whether a Node version is 20.20 or newer. */
export function isNewEnough(version) {
  const [major, minor] = version.split('.').map(Number);
  return major > 20 || (major === 20 && minor >= 20);
}

/** Whether `node_modules` is there, complete, and not older than the lock file. */
export function packagesAreCurrent(root) {
  // npm writes this file last.
  const installed = path.join(root, 'node_modules/.package-lock.json');
  return (
    existsSync(installed) &&
    statSync(installed).mtimeMs >= statSync(path.join(root, 'package-lock.json')).mtimeMs
  );
}

function installPackages(root) {
  if (packagesAreCurrent(root)) return;
  say('Installing the packages: npm ci');
  const { status } = spawnSync('npm', ['ci', '--no-audit', '--no-fund'], {
    cwd: root,
    stdio: ['ignore', 2, 2],
  });
  if (status !== 0) throw new Refusal('npm ci failed; what it says is above.');
}

/** Folders in which packages of PostgreSQL put its programs, as far as they exist here. */
function usualFolders() {
  const below = (parent, pattern, child) =>
    (existsSync(parent) ? readdirSync(parent) : [])
      .filter((name) => pattern.test(name))
      .map((name) => path.join(parent, name, child));
  return [
    ...below('/usr/lib/postgresql', /^\d+$/, 'bin'),
    ...below('/usr', /^pgsql-\d+$/, 'bin'),
    ...below('/usr/libexec', /^postgresql\d+$/, ''),
    ...below('/Library/PostgreSQL', /^\d+$/, 'bin'),
    ...below('/opt/homebrew/opt', /^(libpq|postgresql@\d+)$/, 'bin'),
    ...below('/usr/local/opt', /^(libpq|postgresql@\d+)$/, 'bin'),
    ...below('/Applications/Postgres.app/Contents/Versions', /^\d+$/, 'bin'),
    '/usr/local/pgsql/bin',
  ];
}

/** The first folder that has all three programs, new enough; undefined where there is none. */
export function findPrograms(env, usual) {
  const folders = env.PG_BIN_DIR
    ? [env.PG_BIN_DIR]
    : [...(env.PATH ?? '').split(path.delimiter).filter(Boolean), ...usual];
  return folders.find((folder) => majorIn(folder) >= serverMajor);
}

/** The major version of the programs in a folder; 0 where one is missing or does not run. */
function majorIn(folder) {
  const [dump, ...others] = programs.map((program) => path.join(folder, program));
  if (![dump, ...others].every((program) => existsSync(program))) return 0;
  // Debian's /usr/bin/pg_dump is a script that picks a version; the programs proper are in the usual folders.
  if (path.basename(realpathSync(dump)) === 'pg_wrapper') return 0;
  const { status, stdout } = spawnSync(dump, ['--version'], { encoding: 'utf8' });
  return status === 0 ? Number(/\(PostgreSQL\) (\d+)/.exec(stdout)?.[1] ?? 0) : 0;
}

function ensurePrograms(env, usual) {
  if (findPrograms(env, usual) !== undefined) return;
  const wanted = `${programs.join(', ')} of PostgreSQL ${serverMajor} or newer`;
  if (env.PG_BIN_DIR) throw new Refusal(`${env.PG_BIN_DIR} (PG_BIN_DIR) does not have ${wanted}.`);
  const system = systemName();
  const mayInstall = isDebian(system) && process.getuid?.() === 0 && env.SWITCHBACK_NO_INSTALL !== '1';
  if (mayInstall) {
    say(`${wanted} were not found. Installing them: apt-get install postgresql-client`);
    say('(SWITCHBACK_NO_INSTALL=1 forbids this.)');
    aptGet(env, ['update', '-qq']);
    aptGet(env, ['install', '-y', '-qq', '--no-install-recommends', 'postgresql-client']);
    if (findPrograms(env, usual) !== undefined) return;
  }
  throw new Refusal(`${wanted} were not found. Install them:\n  ${installCommand(system, mayInstall)}`);
}

const aptGet = (env, args) =>
  spawnSync('apt-get', args, {
    stdio: ['ignore', 2, 2],
    env: { ...env, DEBIAN_FRONTEND: 'noninteractive' },
  });

/** `darwin`, or what /etc/os-release says of the system and its family. */
function systemName() {
  if (process.platform !== 'linux') return process.platform;
  if (!existsSync('/etc/os-release')) return 'linux';
  return (
    readFileSync('/etc/os-release', 'utf8')
      .match(/^ID(_LIKE)?=.*$/gm)
      ?.join(' ') ?? 'linux'
  );
}

const isDebian = (system) => /debian|ubuntu/.test(system);

/** The one command that installs the programs. `tooOld`: the system's own package was tried, and is. */
export function installCommand(system, tooOld) {
  if (isDebian(system) && tooOld)
    return (
      'sudo apt-get install -y postgresql-common && sudo /usr/share/postgresql-common/pgdg/apt.postgresql.org.sh -y && ' +
      `sudo apt-get install -y postgresql-client-${serverMajor}`
    );
  if (isDebian(system)) return 'sudo apt-get install -y postgresql-client';
  if (system === 'darwin') return 'brew install libpq';
  if (/alpine/.test(system)) return 'sudo apk add postgresql-client';
  if (/fedora|rhel|centos/.test(system)) return 'sudo dnf install -y postgresql';
  if (/arch/.test(system)) return 'sudo pacman -S postgresql-libs';
  return 'see https://www.postgresql.org/download/, and set PG_BIN_DIR to the folder that holds pg_dump';
}

/** All of it. Sets the exit code to 1, after saying why, where something is missing that it cannot install. */
export function bootstrap(root, env, usual = usualFolders()) {
  try {
    if (!isNewEnough(process.versions.node))
      throw new Refusal(`Switchback needs Node 20.20 or newer; this is ${process.versions.node}.`);
    installPackages(root);
    generateClient(root);
    ensurePrograms(env, usual);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    say(error.message);
    process.exitCode = 1;
  }
}

const self = fileURLToPath(import.meta.url);
const startedFrom = process.argv[1];
if (startedFrom !== undefined && realpathSync(startedFrom) === self)
  bootstrap(path.resolve(path.dirname(self), '..'), process.env);
