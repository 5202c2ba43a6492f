/** scripts/bootstrap.mjs, run as a process in a prepared folder, with a PATH of its own. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { chmod, cp, mkdir, mkdtemp, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import { installCommand, isNewEnough } from '../../scripts/bootstrap.mjs';

const scripts = path.resolve(import.meta.dirname, '../../scripts');
let root: string;
let bin: string;

beforeEach(async () => {
  root = await mkdtemp(path.join(inject('runFolder'), 'bootstrap-'));
  bin = path.join(root, 'bin');
  await mkdir(path.join(root, 'scripts'));
  for (const name of ['bootstrap.mjs', 'generate-client.mjs'])
    await cp(path.join(scripts, name), path.join(root, 'scripts', name));
  await file('package-lock.json', '{}');
  await file('prisma/schema.prisma', '');
  await file('src/db/control/generated/client.ts', '');
  await file('node_modules/.package-lock.json', '{}');
  await program('npm', 'echo npm "$@" >> calls; touch node_modules/.package-lock.json');
  await program('apt-get', 'echo apt-get "$@" >> calls');
  for (const name of ['sh', 'touch', 'cp', 'chmod']) await symlink(`/bin/${name}`, path.join(bin, name));
});
afterEach(() => rm(root, { recursive: true, force: true }));

async function file(name: string, content: string): Promise<void> {
  await mkdir(path.dirname(path.join(root, name)), { recursive: true });
  await writeFile(path.join(root, name), content);
}

async function program(name: string, body: string, folder = 'bin'): Promise<void> {
  await file(path.join(folder, name), `#!/bin/sh\n${body}\n`);
  await chmod(path.join(root, folder, name), 0o755);
}

async function postgres(major: number, folder = 'bin'): Promise<void> {
  for (const name of ['pg_dump', 'pg_restore', 'psql'])
    await program(name, `echo "${name} (PostgreSQL) ${major}.1"`, folder);
}

const old = (name: string): Promise<void> => utimes(path.join(root, name), 1, 1);

function run(env: Record<string, string> = {}): { code: number | null; said: string; calls: string[] } {
  const start = `import { bootstrap } from './scripts/bootstrap.mjs'; bootstrap(process.cwd(), process.env, []);`;
  const { status, stderr, stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', start], {
    cwd: root,
    env: { PATH: bin, ...env },
    encoding: 'utf8',
  });
  const calls = path.join(root, 'calls');
  return {
    code: status,
    said: stdout + stderr,
    calls: existsSync(calls) ? readFileSync(calls, 'utf8').trim().split('\n') : [],
  };
}

test('is silent when all is there', async () => {
  await postgres(15);
  expect(run()).toEqual({ code: 0, said: '', calls: [] });
});

test.each([
  ['20.20.0', true],
  ['20.19.9', false],
  ['18.99.0', false],
  ['22.0.0', true],
])('Node %s: %s', (version, enough) => expect(isNewEnough(version)).toBe(enough));

describe('packages', () => {
  test.each([
    ['absent', () => rm(path.join(root, 'node_modules'), { recursive: true })],
    ['half installed', () => rm(path.join(root, 'node_modules/.package-lock.json'))],
    ['older than the lock file', () => old('node_modules/.package-lock.json')],
  ])('that are %s are installed', async (_, prepare) => {
    await postgres(15);
    await prepare();
    await mkdir(path.join(root, 'node_modules'), { recursive: true });
    expect(run()).toMatchObject({ code: 0, calls: ['npm ci --no-audit --no-fund'] });
    expect(run().calls).toHaveLength(1);
  });

  test('that cannot be installed end it with 1', async () => {
    await rm(path.join(root, 'node_modules'), { recursive: true });
    await program('npm', 'exit 7');
    expect(run()).toMatchObject({ code: 1, said: expect.stringContaining('npm ci failed') });
  });
});

test('the client is generated when the schema is newer, without an engine', async () => {
  await postgres(15);
  await old('src/db/control/generated/client.ts');
  await file(
    'node_modules/prisma/build/index.js',
    `require('fs').writeFileSync('src/db/control/generated/client.ts', process.argv[2] + ' ' + process.env.PRISMA_SCHEMA_ENGINE_BINARY)`,
  );
  expect(run().code).toBe(0);
  expect(readFileSync(path.join(root, 'src/db/control/generated/client.ts'), 'utf8')).toBe(
    'generate /bin/false',
  );
});

describe("PostgreSQL's client programs", () => {
  const root = process.getuid?.() === 0;
  const debian =
    existsSync('/etc/os-release') && /debian|ubuntu/.test(readFileSync('/etc/os-release', 'utf8'));

  test.each([
    ['missing', () => undefined],
    ['too old', () => postgres(14)],
    ['incomplete', () => program('pg_dump', 'echo "pg_dump (PostgreSQL) 15.1"')],
  ])('that are %s, where nothing may be installed: says the command, and ends with 1', async (_, prepare) => {
    await prepare();
    const { code, said, calls } = run({ SWITCHBACK_NO_INSTALL: '1' });
    expect(code).toBe(1);
    expect(said).toMatch(
      /^pg_dump, pg_restore, psql of PostgreSQL 15 or newer were not found. Install them:\n {2}\S+/,
    );
    expect(calls).toEqual([]);
  });

  test.runIf(root && debian)('are installed by root on Debian, which is told before', async () => {
    await postgres(15, 'elsewhere');
    await program(
      'apt-get',
      `echo apt-get "$@" >> calls; if [ "$1" = install ]; then cp elsewhere/* bin/; fi`,
    );
    const { code, said, calls } = run();
    expect(said).toMatch(/Installing them: apt-get install postgresql-client\n.*SWITCHBACK_NO_INSTALL=1/);
    expect(calls).toEqual([
      'apt-get update -qq',
      'apt-get install -y -qq --no-install-recommends postgresql-client',
    ]);
    expect(code).toBe(0);
  });

  test.runIf(root && debian)("whose package is too old are not PostgreSQL's own without asking", async () => {
    const { code, said, calls } = run();
    expect(code).toBe(1);
    expect(calls).toHaveLength(2);
    expect(said).toContain('apt.postgresql.org.sh');
  });

  test('are looked for in PG_BIN_DIR only, when it is set', async () => {
    await postgres(15);
    expect(run({ PG_BIN_DIR: '/nowhere' })).toMatchObject({
      code: 1,
      said: expect.stringContaining('/nowhere (PG_BIN_DIR) does not have pg_dump'),
      calls: [],
    });
    await postgres(17, 'mine');
    expect(run({ PG_BIN_DIR: path.join(bin, '../mine') }).code).toBe(0);
  });

  test.each([
    ['ID=ubuntu ID_LIKE=debian', 'sudo apt-get install -y postgresql-client'],
    ['ID=alpine', 'sudo apk add postgresql-client'],
    ['ID="rocky" ID_LIKE="rhel centos fedora"', 'sudo dnf install -y postgresql'],
    ['darwin', 'brew install libpq'],
    ['freebsd', 'PG_BIN_DIR'],
  ])('on %s: %s', (system, command) => expect(installCommand(system, false)).toContain(command));
});
