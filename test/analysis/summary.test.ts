import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { countLines, dateOf, type FolderFile, summarise } from '../../src/analysis/summary.ts';

const sample = path.resolve(import.meta.dirname, '../../examples/globalrx/prisma/migrations');

/** The migrations as Prisma applies them, and all files of the folder. */
async function readSample() {
  const entries = await readdir(sample, { recursive: true, withFileTypes: true });
  const files: FolderFile[] = [];
  const migrations: { name: string; sql: string }[] = [];
  for (const entry of entries.filter((one) => one.isFile())) {
    const text = await readFile(path.join(entry.parentPath, entry.name), 'utf8');
    const place = path.relative(sample, path.join(entry.parentPath, entry.name));
    files.push({ path: place, lines: countLines(text), bytes: Buffer.byteLength(text) });
    if (entry.name === 'migration.sql') migrations.push({ name: path.dirname(place), sql: text });
  }
  migrations.sort((a, b) => a.name.localeCompare(b.name, 'en'));
  const lockFile = await readFile(path.join(sample, 'migration_lock.toml'), 'utf8');
  return { migrations, files: files.filter((file) => file.path.endsWith('.sql')), lockFile };
}

test('the sample folder', async () => {
  expect(summarise(await readSample())).toEqual({
    migrations: 5,
    files: 6,
    lines: 1241,
    largest: [
      { name: '20260126014942_add_customer_portal_models', lines: 206 },
      { name: '20260129011632_add_address_block_models', lines: 68 },
      { name: '20260222_move_display_order', lines: 4 },
    ],
    recent: [
      { name: '20260222011200_add_display_order_to_dsx_mappings', date: '2026-02-22T01:12:00Z' },
      { name: '20260222_move_display_order', date: '2026-02-22' },
      { name: '20260129011632_add_address_block_models', date: '2026-01-29T01:16:32Z' },
      { name: '20260126014942_add_customer_portal_models', date: '2026-01-26T01:49:42Z' },
      { name: '20250125_initial', date: '2025-01-25' },
    ],
    provider: 'postgresql',
    tree: [
      { path: '20250125_initial/migration.sql', lines: 378 },
      { path: '20260126014942_add_customer_portal_models/migration.sql', lines: 206 },
      { path: '20260129011632_add_address_block_models/migration.sql', lines: 68 },
      { path: '20260222_move_display_order/migration.sql', lines: 4 },
      { path: '20260222011200_add_display_order_to_dsx_mappings/migration.sql', lines: 2 },
      { path: 'initial_schema.sql', lines: 583 },
    ],
  });
});

test('an empty folder', () => {
  expect(summarise({ migrations: [], files: [], lockFile: null })).toEqual({
    migrations: 0,
    files: 0,
    lines: 0,
    largest: [],
    recent: [],
    provider: null,
    tree: [],
  });
});

test('files that are not SQL stand in the tree but are not counted', () => {
  const { files, lines, tree } = summarise({
    migrations: [{ name: '1_a', sql: 'select 1;\nselect 2;\n' }],
    files: [
      { path: 'migration_lock.toml', lines: 3, bytes: 60 },
      { path: '1_a/README.md', lines: 7, bytes: 70 },
      { path: '1_a/down.sql', lines: 5, bytes: 50 },
    ],
    lockFile: null,
  });
  expect({ files, lines }).toEqual({ files: 2, lines: 7 });
  expect(tree.map((file) => file.path)).toEqual([
    '1_a/down.sql',
    '1_a/migration.sql',
    '1_a/README.md',
    'migration_lock.toml',
  ]);
});

test('the newest are found by the date in the name, wherever it is applied', () => {
  const names = ['20240101000000_a', '20260101000000_b', '20250101000000_c', 'undated', '20260101000000_d'];
  const { recent } = summarise({
    migrations: names.map((name) => ({ name, sql: '' })),
    files: [],
    lockFile: null,
  });
  expect(recent.map(({ name }) => name)).toEqual([
    '20260101000000_d',
    '20260101000000_b',
    '20250101000000_c',
    '20240101000000_a',
  ]);
});

test.each<[string, number]>([
  ['', 0],
  ['a', 1],
  ['a\n', 1],
  ['a\nb', 2],
  ['\n\n', 2],
  ['a\r\nb\r\n', 2],
])('lines of %j: %i', (text, lines) => {
  expect(countLines(text)).toBe(lines);
});

describe('the date of a name', () => {
  test.each<[string, string | null]>([
    ['20260222011200_a', '2026-02-22T01:12:00Z'],
    ['20260222011200', '2026-02-22T01:12:00Z'],
    ['20260222_a', '2026-02-22'],
    ['20240229_leap_day', '2024-02-29'],
    ['20230229_no_leap_day', null],
    ['20261322_month', null],
    ['20260222250000_hour', null],
    ['202602220112_too_short', null],
    ['202602220112001_too_long', null],
    ['init', null],
    ['a_20260222', null],
  ])('%s', (name, date) => {
    expect(dateOf(name)).toBe(date);
  });
});

test.each<[string | null, string | null]>([
  [null, null],
  ['', null],
  ['# provider = "mysql"\n', null],
  ['# made by Prisma\r\nprovider = "postgresql"\r\n', 'postgresql'],
])('provider of %j', (lockFile, provider) => {
  expect(summarise({ migrations: [], files: [], lockFile }).provider).toBe(provider);
});
