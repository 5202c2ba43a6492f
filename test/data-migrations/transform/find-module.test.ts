import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { beforeEach, expect, inject, test } from 'vitest';
import { findModule } from '../../../src/data-migrations/transform/find-module.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(inject('runFolder'), 'find-module-'));
});

const notFound = { code: 'TRANSFORM_NOT_FOUND' };

test('finds a file, or a folder with an index', async () => {
  await writeFile(path.join(folder, 'names.mjs'), '1');
  await mkdir(path.join(folder, 'split'));
  await writeFile(path.join(folder, 'split', 'index.js'), '2');
  expect(await findModule(folder, 'names', null)).toMatchObject({
    name: 'names',
    file: path.join(folder, 'names.mjs'),
  });
  expect(await findModule(folder, 'split', null)).toMatchObject({
    file: path.join(folder, 'split', 'index.js'),
  });
});

test('takes no name that leads elsewhere, and none without a folder', async () => {
  await writeFile(path.join(folder, 'names.mjs'), '1');
  await mkdir(path.join(folder, 'inner'));
  for (const name of [
    '../names',
    './names',
    'inner/../names',
    'names.mjs',
    'inner',
    '',
    '/etc/passwd',
    'a\0b',
    '..',
    'na%2e',
    'a'.repeat(64),
  ])
    await expect(findModule(path.join(folder), name, null), name).rejects.toMatchObject(notFound);
  await expect(findModule(undefined, 'names', null)).rejects.toMatchObject(notFound);
});

test('refuses what was changed since, in a folder any file of it', async () => {
  await mkdir(path.join(folder, 'split', 'deeper'), { recursive: true });
  await writeFile(path.join(folder, 'split', 'index.mjs'), 'import "./deeper/words.mjs"');
  await writeFile(path.join(folder, 'split', 'deeper', 'words.mjs'), '1');
  const { hash } = await findModule(folder, 'split', null);
  expect(await findModule(folder, 'split', hash)).toMatchObject({ hash });
  await writeFile(path.join(folder, 'split', 'deeper', 'words.mjs'), '2');
  await expect(findModule(folder, 'split', hash)).rejects.toMatchObject({
    code: 'TRANSFORM_CHANGED',
    details: { module: 'split', recorded: hash },
  });
  await writeFile(path.join(folder, 'names.mjs'), '1');
  const names = await findModule(folder, 'names', null);
  await writeFile(path.join(folder, 'names.mjs'), '2');
  await expect(findModule(folder, 'names', names.hash)).rejects.toMatchObject({ code: 'TRANSFORM_CHANGED' });
});
