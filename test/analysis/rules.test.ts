import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { rules } from '../../src/analysis/rules/index.ts';
import { loadParser } from '../../src/sql/parse.ts';
import { analyseFixture, compareFixture, readFixture } from '../support/rule-fixture.ts';

const root = path.resolve(import.meta.dirname, '../..');
const fixtures = path.join(root, 'test/fixtures/rules');
const ids = rules.map(({ id }) => id);

const read = (id: string, file: 'bad.sql' | 'good.sql'): string =>
  readFileSync(path.join(fixtures, id, file), 'utf8');

const namesIn = (folder: string, ending: string): string[] =>
  readdirSync(path.join(root, folder))
    .filter((name) => name.endsWith(ending))
    .map((name) => name.slice(0, name.length - ending.length))
    .sort();

beforeAll(loadParser);

test('a rule is named like its file, and stands in the list once', () => {
  const files = namesIn('src/analysis/rules', '.ts').filter((name) => name !== 'index');
  expect([...ids].sort()).toEqual(files);
});

test('the list is sorted', () => {
  expect(ids).toEqual([...ids].sort());
});

test('each rule has its fixtures, and each fixture its rule', () => {
  const folders = readdirSync(fixtures).filter((name) => name !== 'README.md');
  expect(folders.sort()).toEqual([...ids].sort());
  for (const id of folders)
    expect(readdirSync(path.join(fixtures, id)).sort()).toEqual(['bad.sql', 'good.sql']);
});

test('each rule has its page, and each page its rule', () => {
  expect(namesIn('docs/rules', '.md').filter((name) => name !== 'README')).toEqual([...ids].sort());
});

test('fixtures expect and ignore rules that there are, and ignore only opinions', () => {
  for (const id of ids.filter((one) => existsSync(path.join(fixtures, one))))
    for (const file of ['bad.sql', 'good.sql'] as const) {
      const { migrations, expectedOfFolder, ignored } = readFixture(read(id, file));
      const expected = [
        ...expectedOfFolder,
        ...migrations.flatMap((one) => [...one.expected.values()].flat()),
      ];
      for (const rule of [...expected, ...ignored]) expect(ids).toContain(rule);
      if (file === 'good.sql') expect(expected, `${id}/good.sql`).toEqual([]);
      expect(ignored, `${id}/${file}`).not.toContain(id);
    }
});

describe.each(ids)('%s', (id) => {
  test('fires where the bad fixture says, with no other rule', () => {
    const { expected, fired } = compareFixture(readFixture(read(id, 'bad.sql')));
    expect(fired).toEqual(expected);
    expect(expected.filter((line) => line.endsWith(` ${id}`))).not.toEqual([]);
  });

  test('is silent over the good fixture, with every other rule', () => {
    expect(compareFixture(readFixture(read(id, 'good.sql'))).fired).toEqual([]);
  });

  test('says what happens, where, and what to do instead', () => {
    const { migrations, violations } = analyseFixture(readFixture(read(id, 'bad.sql')));
    const own = [...violations, ...migrations.flatMap((one) => one.violations)].filter(
      ({ rule }) => rule === id,
    );
    for (const { message, remedy, line, column } of own) {
      expect(message).toMatch(/^[^\s].*[.)]$/s);
      expect(`${message} ${remedy ?? ''}`).not.toMatch(/undefined|\[object|\bNaN\b/);
      expect(line).toBeGreaterThan(0);
      expect(column).toBeGreaterThan(0);
    }
  });
});
