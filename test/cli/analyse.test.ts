import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { switchback } from './switchback.ts';

let place: string;
beforeAll(async () => {
  place = await mkdtemp(path.join(tmpdir(), 'switchback-analyse-'));
  await write('app/prisma/migrations/migration_lock.toml', 'provider = "postgresql"\n');
  await write(
    'app/prisma/migrations/20240101000000_init/migration.sql',
    'CREATE TABLE "User" ("id" text PRIMARY KEY, "name" text);\nCREATE INDEX "User_name_idx" ON "User" ("name");\n',
  );
  await write(
    'app/prisma/migrations/20240201000000_drop/migration.sql',
    'ALTER TABLE "User" DROP COLUMN "name";\n',
  );
  await symlink(
    path.join(place, 'app/prisma/migrations/20240101000000_init'),
    path.join(place, 'app/prisma/migrations/20240301000000_link'),
  );
  await write('app/schema.prisma', 'model User {\n  id   String  @id\n  name String?\n}\n');
});
afterAll(() => rm(place, { recursive: true }));

async function write(name: string, text: string): Promise<void> {
  const file = path.join(place, name);
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, text);
}

async function analyse(...args: string[]): Promise<{ code: number | NodeJS.Signals; text: string }> {
  const run = switchback(['analyse', ...args], { cwd: place });
  return { code: await run.ended(), text: run.printed() };
}

interface Report {
  verdict: string;
  migrations: { name: string; verdict: string; violations: { rule: string; severity: string }[] }[];
  violations: { rule: string }[];
}

const reportOf = (text: string): Report => JSON.parse(text) as Report;

describe('the folder', () => {
  test.each(['app', 'app/prisma', 'app/prisma/migrations'])('may be %s', async (folder) => {
    const { code, text } = await analyse(folder, '--format', 'json');
    expect(code).toBe(0);
    expect(reportOf(text)).toMatchObject({
      verdict: 'caution',
      migrations: [
        { name: '20240101000000_init', verdict: 'safe' },
        { name: '20240201000000_drop', verdict: 'caution', violations: [{ rule: 'drop-column' }] },
      ],
      violations: [],
    });
  });

  test('may lack migration_lock.toml, which is a violation', async () => {
    await write('bare/20240101000000_init/migration.sql', 'SELECT 1;\n');
    const { code, text } = await analyse('bare', '--format', 'json');
    expect(code).toBe(0);
    expect(reportOf(text).violations).toMatchObject([{ rule: 'lock-file-missing' }]);
  });

  test.each([
    ['that is not there', 'nowhere', 'MIGRATIONS_DIRECTORY_MISSING'],
    ['without migrations', 'app/prisma/migrations/20240101000000_init', 'MIGRATIONS_DIRECTORY_EMPTY'],
    ['that is a file', 'app/schema.prisma', 'MIGRATIONS_DIRECTORY_MISSING'],
  ])('%s ends it with exit code 2', async (_, folder, error) => {
    const { code, text } = await analyse(folder);
    expect(text).toContain(error);
    expect(code).toBe(2);
  });

  test('with a migration that has no file ends it with exit code 2, and its name', async () => {
    await write('half/migrations/20240101000000_init/migration.sql', 'SELECT 1;\n');
    await mkdir(path.join(place, 'half/migrations/20240201000000_lost'));
    const { code, text } = await analyse('half');
    expect(text).toContain('20240201000000_lost');
    expect(code).toBe(2);
  });
});

describe('the exit code', () => {
  test.each([
    ['safe', 10],
    ['caution', 10],
    ['dangerous', 0],
    ['never', 0],
  ])('with --fail-on %s is %i for a verdict of caution', async (limit, expected) => {
    expect((await analyse('app', '--fail-on', limit)).code).toBe(expected);
  });

  test('is 10 by default for a dangerous one, which the previous schema file makes this one', async () => {
    const { code, text } = await analyse('app', '--previous-schema', 'app/schema.prisma');
    expect(text).toContain('dangerous[column-still-selected]');
    expect(code).toBe(10);
  });

  test.each([
    ['an unknown option', ['app', '--colour']],
    ['an unknown format', ['app', '--format', 'xml']],
    ['no folder', []],
    ['an unknown migration', ['app', '--only', 'nothing']],
    ['a policy that is not there', ['app', '--policy', 'nowhere.json']],
    ['rules that are not there', ['app', '--rules', 'nowhere.mjs']],
    [
      'a schema file without models',
      ['app', '--previous-schema', 'app/prisma/migrations/migration_lock.toml'],
    ],
  ])('is 2 for %s', async (_, args) => {
    expect((await analyse(...args)).code).toBe(2);
  });
});

describe('options', () => {
  test('--only judges these migrations, and takes their paths', async () => {
    const only = ['app/prisma/migrations/20240201000000_drop/migration.sql'];
    const { text } = await analyse('app', '--format', 'json', '--only', ...only);
    expect(reportOf(text).migrations.map(({ name }) => name)).toEqual(['20240201000000_drop']);
  });

  test('--policy gives a rule another severity, and says what is wrong with a policy', async () => {
    await write('policy.json', JSON.stringify({ rules: { 'drop-column': 'dangerous' } }));
    expect((await analyse('app', '--policy', 'policy.json')).code).toBe(10);
    await write('wrong.json', JSON.stringify({ rules: { 'drop-colum': 'off' } }));
    expect((await analyse('app', '--policy', 'wrong.json')).text).toContain(
      'rules.drop-colum: there is no such rule',
    );
    await write('odd.json', JSON.stringify({ rules: {}, treshold: 1 }));
    expect((await analyse('app', '--policy', 'odd.json')).text).toContain('treshold');
  });

  test('--rules adds rules, whose failure is ours', async () => {
    const rule = (check: string): string =>
      `export default [{ id: 'no-drops', severity: 'dangerous', effect: null, summary: '', why: '', peers: [], on: ['dropColumn'], check: ${check} }];\n`;
    await write('rules.mjs', rule("() => ({ message: 'Nobody drops here.' })"));
    const { code, text } = await analyse('app', '--rules', 'rules.mjs');
    expect(text).toContain('Nobody drops here.');
    expect(code).toBe(10);
    await write('broken.mjs', rule("() => { throw new Error('it broke'); }"));
    expect(await analyse('app', '--rules', 'broken.mjs')).toMatchObject({
      code: 2,
      text: expect.stringContaining('it broke') as string,
    });
    await write('none.mjs', "export default [{ id: 'drop-column' }];\n");
    expect((await analyse('app', '--rules', 'none.mjs')).code).toBe(2);
  });

  test('--format sarif names files from the repository or the working directory on', async () => {
    const { text } = await analyse('app', '--format', 'sarif');
    expect(text).toContain('"app/prisma/migrations/20240201000000_drop/migration.sql"');
  });

  test('a long report is printed to its end into a pipe', async () => {
    const statements = Array.from({ length: 30_000 }, (_, index) => `UPDATE "User" SET "name" = '${index}';`);
    await write(
      'long/20240101000000_init/migration.sql',
      'CREATE TABLE "User" ("id" text PRIMARY KEY, "name" text);\n',
    );
    await write('long/20240201000000_update/migration.sql', `${statements.join('\n')}\n`);
    const { code, text } = await analyse('long', '--format', 'json');
    expect(code).toBe(0);
    expect(text.length).toBeGreaterThan(5_000_000);
    expect(reportOf(text).migrations[1]?.violations.length).toBeGreaterThanOrEqual(30_000);
  });
});
