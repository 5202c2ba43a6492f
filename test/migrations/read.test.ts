import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { checksum, checksumMatches } from '../../src/migrations/checksum.ts';
import { readDirectory } from '../../src/migrations/read.ts';

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'switchback-migrations-'));
});
afterEach(() => rm(directory, { recursive: true }));

async function write(files: Record<string, string>): Promise<void> {
  for (const [name, content] of Object.entries(files)) {
    await mkdir(path.join(directory, path.dirname(name)), { recursive: true });
    await writeFile(path.join(directory, name), content);
  }
}

const lock = { 'migration_lock.toml': '# comment\nprovider = "postgresql"\n' };

test("folders come in the order of Prisma's command line, and nothing else counts", async () => {
  await write({
    ...lock,
    '20260222_b/migration.sql': 'select 2',
    '20260222011200_a/migration.sql': 'select 3',
    '20250101_z/migration.sql': '',
    'initial_schema.sql': 'not a migration',
  });
  await symlink(path.join(directory, '20250101_z'), path.join(directory, '0_link'));
  const { migrations } = await readDirectory(directory);
  expect(migrations.map(({ name }) => name)).toEqual(['20250101_z', '20260222_b', '20260222011200_a']);
});

test('the id is that of names and contents', async () => {
  await write({ ...lock, '1_a/migration.sql': 'select 1' });
  const { id } = await readDirectory(directory);
  await write({ '1_a/notes.txt': 'no part of it' });
  expect((await readDirectory(directory)).id).toBe(id);
  await write({ '1_a/migration.sql': 'select 2' });
  expect((await readDirectory(directory)).id).not.toBe(id);
});

test.each<[string, Record<string, string>]>([
  ['MIGRATIONS_DIRECTORY_EMPTY', lock],
  ['MIGRATION_LOCK_MISSING', { '1_a/migration.sql': '' }],
  [
    'MIGRATION_PROVIDER_UNSUPPORTED',
    { 'migration_lock.toml': 'provider = "mysql"', '1_a/migration.sql': '' },
  ],
  ['MIGRATION_PROVIDER_UNSUPPORTED', { 'migration_lock.toml': '', '1_a/migration.sql': '' }],
  ['MIGRATION_SQL_MISSING', { ...lock, '1_a/readme.md': '' }],
])('%s', async (code, files) => {
  await write(files);
  await expect(readDirectory(directory)).rejects.toMatchObject({ code });
});

test('MIGRATIONS_DIRECTORY_MISSING', async () => {
  await expect(readDirectory(path.join(directory, 'nowhere'))).rejects.toMatchObject({
    code: 'MIGRATIONS_DIRECTORY_MISSING',
    message: expect.stringContaining(path.join(directory, 'nowhere')),
  });
});

test('a checksum lets line ends differ, and nothing more', () => {
  const unix = Buffer.from('select 1;\nselect 2; -- é\n');
  const windows = Buffer.from('select 1;\r\nselect 2; -- é\r\n');
  expect(checksumMatches(unix, checksum(windows))).toBe(true);
  expect(checksumMatches(windows, checksum(unix))).toBe(true);
  expect(checksumMatches(Buffer.from('select 1;\nselect 2;\n'), checksum(unix))).toBe(false);
});

test("a checksum of Prisma's first versions is known", () => {
  // "abcd" has bytes below 16 in its checksum: 88d4266fd4e6338d13b845fcf289579d209c897823b9217da3e161936f031589
  expect(
    checksumMatches(Buffer.from('abcd'), '88d4266fd4e6338d13b845fcf289579d209c897823b9217da3e161936f31589'),
  ).toBe(true);
  expect(
    checksumMatches(Buffer.from('abce'), '88d4266fd4e6338d13b845fcf289579d209c897823b9217da3e161936f31589'),
  ).toBe(false);
});
