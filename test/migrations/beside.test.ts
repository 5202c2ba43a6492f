import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { pack } from 'tar-stream';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readArchive } from '../../src/migrations/archive.ts';
import { checkBeside, dataMigrationsOf, requiresOf } from '../../src/migrations/beside.ts';
import { type Bundle, readDirectory } from '../../src/migrations/read.ts';
import { readFolder } from '../../src/migrations/read-folder.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'switchback-beside-'));
});
afterEach(() => rm(directory, { recursive: true }));

const base = {
  'migration_lock.toml': 'provider = "postgresql"\n',
  '1_expand/migration.sql': 'select 1',
  '2_contract/migration.sql': 'select 2',
};
const spec = { kind: 'backfill', table: 'people', set: { full_name: "first || ' ' || last" } };
const fullName = '1_expand/data-migrations/full-name.json';

async function inFolder(files: Record<string, string>): Promise<Bundle> {
  for (const [name, content] of Object.entries({ ...base, ...files })) {
    await mkdir(path.join(directory, path.dirname(name)), { recursive: true });
    await writeFile(path.join(directory, name), content);
  }
  return readDirectory(directory);
}

async function inArchive(files: Record<string, string>): Promise<Bundle> {
  const tar = pack();
  tar.entry({ name: 'migrations/', type: 'directory' });
  for (const [name, content] of Object.entries({ ...base, ...files }))
    tar.entry({ name: `migrations/${name}` }, content);
  tar.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of tar as AsyncIterable<Buffer>) chunks.push(chunk);
  return readArchive(gzipSync(Buffer.concat(chunks)));
}

const given = {
  [fullName]: JSON.stringify(spec),
  '1_expand/data-migrations/notes.txt': 'no part of it',
  '2_contract/migration.json': '{ "requires": ["full-name", "of-another-place"] }',
};

test.each([
  ['a directory', inFolder],
  ['an archive', inArchive],
])('data migrations and what a migration requires are read from %s', async (_, read) => {
  const bundle = await read(given);
  expect(dataMigrationsOf(bundle)).toMatchObject([
    { name: 'full-name', migration: '1_expand', spec: { ...spec, name: 'full-name', parallelism: 1 } },
  ]);
  expect(bundle.migrations.map(requiresOf)).toEqual([[], ['full-name', 'of-another-place']]);
});

test('they are part of the content by which a bundle is known, and what is without them is as before', async () => {
  const [plain, archived] = [await inFolder({}), await inArchive({})];
  expect(archived.id).toBe(plain.id);
  const ids = new Set([plain.id]);
  for (const files of [given, { ...given, '2_contract/migration.json': '{}' }])
    ids.add((await inArchive(files)).id);
  expect(ids.size).toBe(3);
  expect((await inFolder(given)).id).toBe((await inArchive(given)).id);
});

test.each<[string, Record<string, string>, string]>([
  [
    'no JSON',
    { '2_contract/migration.json': '{ requires }' },
    '2_contract/migration.json cannot be used: it is no JSON',
  ],
  ['a property that nobody knows', { '2_contract/migration.json': '{ "require": [] }' }, 'require'],
  ['a name that is none', { '2_contract/migration.json': '{ "requires": ["../x"] }' }, 'requires.0'],
  ['no such kind', { [fullName]: '{ "kind": "nothing" }' }, `${fullName} cannot be used: kind`],
  ['a typing error', { [fullName]: JSON.stringify({ ...spec, tabel: 'x' }) }, 'tabel'],
  ['no object', { [fullName]: '[]' }, fullName],
  [
    'another name than that of its file',
    { [fullName]: JSON.stringify({ ...spec, name: 'x' }) },
    'its name is that of its file',
  ],
  [
    'a name that is there twice',
    { [fullName]: JSON.stringify(spec), '2_contract/data-migrations/full-name.json': JSON.stringify(spec) },
    `${fullName} has the same name`,
  ],
])('%s is refused', async (_, files, says) => {
  const bundle = await inArchive(files);
  expect(() => checkBeside(bundle)).toThrowError(
    expect.objectContaining({ code: 'MIGRATION_FILE_INVALID', message: expect.stringContaining(says) }),
  );
});

test('a folder of data migrations beside the migrations is told where it belongs', async () => {
  await expect(inFolder({ 'data-migrations/full-name.json': JSON.stringify(spec) })).rejects.toMatchObject({
    code: 'MIGRATION_SQL_MISSING',
    message: expect.stringContaining('beside the migration.sql to which they belong'),
  });
});

test('the analysis of a folder passes over them', async () => {
  await inFolder(given);
  expect(readFolder(directory).migrations.map(({ name }) => name)).toEqual(['1_expand', '2_contract']);
});
