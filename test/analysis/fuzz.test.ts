import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Analysis, analyse } from '../../src/analysis/analyse.ts';
import { makeReport } from '../../src/analysis/reports/report.ts';
import { toTerminal } from '../../src/analysis/reports/terminal.ts';
import { checksum } from '../../src/migrations/checksum.ts';
import { loadParser } from '../../src/sql/parse.ts';
import { splitOrRecover } from '../../src/sql/recover.ts';
import { type Statement, splitStatements } from '../../src/sql/split.ts';
import { readFixture } from '../support/rule-fixture.ts';

const seed = 20_240_229;
/** Of one analysis; far more than any of these needs on a busy machine. */
const limitMs = 2_000;

beforeAll(loadParser);

const root = path.resolve(import.meta.dirname, '../..');

const filesBelow = (folder: string): string[] =>
  readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.sql'))
    .sort()
    .map((name) => readFileSync(path.join(root, folder, name), 'utf8'));

/** Real migrations, and every statement that the rules speak of. */
const texts: readonly string[] = [
  ...filesBelow('examples/globalrx/prisma/migrations'),
  ...filesBelow('test/fixtures/rules').flatMap((text) => readFixture(text).migrations.map(({ sql }) => sql)),
];

/** What takes names from each other, and what leads back to where it began. */
const crossing = [
  'ALTER TABLE "User" RENAME TO "Order"',
  'ALTER TABLE "Order" RENAME TO "User"',
  'ALTER TABLE "User" RENAME COLUMN "name" TO "email"',
  'ALTER TABLE "User" SET SCHEMA billing',
  'ALTER TYPE "Role" RENAME TO "Role_old"',
  'DROP TABLE "User" CASCADE',
  'DROP SCHEMA public CASCADE',
  'CREATE SCHEMA billing',
  'SET search_path = billing, public',
  'ALTER TABLE "User" INHERIT "Order"',
  'ALTER TABLE "Order" INHERIT "User"',
  'CREATE VIEW "Adult" AS SELECT * FROM "Minor"',
  'CREATE VIEW "Minor" AS SELECT * FROM "Adult"',
  'CREATE DOMAIN "Name" AS "Word"',
  'CREATE DOMAIN "Word" AS "Name"',
  'ALTER TABLE "User" ADD COLUMN "word" "Word" DEFAULT one()',
  'ALTER TABLE "User" ALTER COLUMN "name" TYPE "Name"',
  "CREATE FUNCTION one() RETURNS text LANGUAGE sql AS 'SELECT two()'",
  'CREATE FUNCTION two() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN one(); END $$',
  'SELECT one(), two()',
  'BEGIN',
  'COMMIT',
  'ROLLBACK',
];

/** What the files of a folder come to, with a report made of it; tells how long it took. */
function judge(...files: readonly (string | Buffer)[]): { analysis: Analysis; tookMs: number } {
  const migrations = files.map((file, index) => {
    const sql = Buffer.from(file);
    return { name: `2024010100000${index}_file`, sql, checksum: checksum(sql) };
  });
  const startedAt = performance.now();
  const analysis = analyse({ migrations });
  const tookMs = performance.now() - startedAt;
  toTerminal(makeReport({ analysis, migrations }), { colour: true, width: 80, notices: true });
  return { analysis, tookMs };
}

const rulesIn = ({ analysis }: { analysis: Analysis }): string[] =>
  analysis.migrations.flatMap(({ violations }) => violations.map(({ rule }) => rule));

const pieces = fc.oneof(
  fc.constantFrom(
    ...[
      "'",
      '"',
      '$$',
      '$a$',
      ';',
      '(',
      ')',
      '[',
      ',',
      '--',
      '/*',
      '*/',
      '\\',
      '\\i x\n',
      '\0',
      '\r\n',
      '\ufeff',
    ],
    ...[
      '`',
      "E'\\",
      'U&"',
      '\ud800',
      'ﬁ',
      '日本',
      '👩‍👩‍👧',
      '\u202e',
      ' CASCADE',
      ' NOT NULL',
      ' CONCURRENTLY',
    ],
    ...[
      'BEGIN;',
      'COMMIT;',
      ' IF EXISTS ',
      '999999999999999999999',
      '-- switchback: allow ',
      'DO $x$ BEGIN ',
    ],
  ),
  fc.string({ unit: 'binary', maxLength: 8 }),
);

/** A change to a text at two places, given as shares of its length. */
const edit = fc.record({
  kind: fc.constantFrom('delete', 'insert', 'swap', 'truncate', 'double' as const),
  from: fc.double({ min: 0, max: 1, noNaN: true }),
  to: fc.double({ min: 0, max: 1, noNaN: true }),
  piece: pieces,
});

function apply(
  text: string,
  { kind, from, to, piece }: typeof edit extends fc.Arbitrary<infer E> ? E : never,
): string {
  const [a, b] = [Math.min(from, to), Math.max(from, to)].map((share) => Math.floor(share * text.length));
  const [start = 0, end = 0] = [a, b];
  switch (kind) {
    case 'delete':
      return text.slice(0, start) + text.slice(Math.min(end, start + 40));
    case 'insert':
      return text.slice(0, start) + piece + text.slice(start);
    case 'swap':
      return (
        text.slice(0, start) +
        text.slice(end, end + 30) +
        text.slice(start + 30, end) +
        text.slice(start, start + 30)
      );
    case 'truncate':
      return text.slice(0, end);
    default:
      return text.slice(0, end) + text.slice(start);
  }
}

const mutated = fc
  .tuple(fc.constantFrom(...texts), fc.array(edit, { minLength: 1, maxLength: 5 }))
  .map(([text, edits]) => edits.reduce(apply, text.slice(0, 6_000)));

describe('mutated migrations', () => {
  test('never throw, and take no longer than others', () => {
    fc.assert(
      fc.property(fc.constantFrom(...texts), mutated, (before, file) => {
        const { analysis, tookMs } = judge(before, file);
        expect(analysis.migrations).toHaveLength(2);
        expect(tookMs).toBeLessThan(limitMs);
        for (const { line, column } of analysis.migrations.flatMap(({ violations }) => violations)) {
          expect(line).toBeGreaterThan(0);
          expect(column).toBeGreaterThan(0);
        }
      }),
      { seed, numRuns: 1_500, interruptAfterTimeLimit: 15_000 },
    );
  }, 60_000);

  test('are given back byte for byte by their statements and what lies between', () => {
    fc.assert(
      fc.property(mutated, (text) => {
        let at = 0;
        let back = '';
        for (const { text: own, offset } of splitOrRecover(text).statements) {
          expect(offset).toBeGreaterThanOrEqual(at);
          back += text.slice(at, offset) + own;
          at = offset + own.length;
        }
        expect(back + text.slice(at)).toBe(text);
      }),
      { seed, numRuns: 1_500, interruptAfterTimeLimit: 15_000 },
    );
  }, 60_000);

  test('whose statements stand in any order never throw', () => {
    const statements = texts.flatMap((text) => splitOrRecover(text).statements.map((one) => one.text));
    const pool = [...statements.filter((text) => text.length < 2_000), ...crossing];
    const file = fc.array(fc.constantFrom(...pool), { minLength: 1, maxLength: 25 });
    fc.assert(
      fc.property(fc.array(file, { minLength: 1, maxLength: 4 }), (files) => {
        expect(judge(...files.map((parts) => `${parts.join(';\n')};\n`)).tookMs).toBeLessThan(limitMs);
      }),
      { seed, numRuns: 1_000, interruptAfterTimeLimit: 15_000 },
    );
  }, 60_000);

  test('say where: a statement found in a broken file is the one that a file of its own has', () => {
    for (const text of texts.filter((one) => splitOrRecover(one).unparsable.length === 0)) {
      const { statements, unparsable } = splitOrRecover(`${text}\nALTER TABLE;\n`);
      expect(unparsable).toHaveLength(1);
      const places = (found: readonly Statement[]): unknown =>
        found.map(({ text: own, line, column }) => ({ own, line, column }));
      expect(places(statements)).toEqual(places(splitStatements(text)));
    }
  });
});

describe('unusual files', () => {
  const table = 'CREATE TABLE "User" ("id" text PRIMARY KEY, "name" text);\n';
  const drop = 'ALTER TABLE "User" DROP COLUMN "name";\n';

  test.each([
    ['a byte order mark', `\ufeff${drop}`],
    ['CRLF', `-- DropColumn\r\n${drop.replace('\n', '\r\n')}`],
    ['no newline at the end', drop.trim()],
    ['no semicolon at the end', drop.trim().slice(0, -1)],
    ['semicolons alone', `;;\n;${drop};;`],
    ['nested comments', `/* a /* b */ ; c */ ${drop}`],
    ['a psql command before it', `\\i other.sql\n${drop}`],
    ['a psql command behind it', `${drop}\\copy "User" from 'users.csv'\n`],
    ['MySQL before it', `ALTER TABLE \`User\` ADD COLUMN \`x\` INT AUTO_INCREMENT;\n${drop}`],
    ['an open quote behind it', `${drop}UPDATE "User" SET "name" = 'it;\n`],
    ['characters of four bytes before it', `COMMENT ON TABLE "User" IS '👩‍👩‍👧';\n${drop}`],
  ])('%s does not hide a dropped column', (_, file) => {
    expect(rulesIn(judge(table, file))).toContain('drop-column');
  });

  test('the place of a violation does not count a byte order mark, and counts characters', () => {
    const { analysis } = judge(table, `\ufeff/* 👩 日本 */ ${drop}`);
    const [violation] = analysis.migrations[1]?.violations ?? [];
    expect(violation).toMatchObject({ rule: 'drop-column', line: 1 });
    expect([12, 12 + 'ALTER TABLE "User" '.length]).toContain(violation?.column);
  });

  test.each([
    ['invalid UTF-8', Buffer.from([0x41, 0xff, 0xfe, 0x3b])],
    ['UTF-16', Buffer.from(drop, 'utf16le')],
    ['a character with the code 0', Buffer.from('SELECT 1;\0SELECT 2;')],
    ['SQL of MySQL', 'CREATE TABLE `User` (`id` INT NOT NULL AUTO_INCREMENT) ENGINE=InnoDB;'],
    ['SQL of SQLite', 'PRAGMA foreign_keys=OFF;'],
    ['SQL of SQL Server', 'CREATE TABLE [dbo].[User] ([id] INT NOT NULL);\nGO\n'],
    ['an open quote', "SELECT 'it;"],
    ['an open dollar quote', 'DO $$ BEGIN NULL; END'],
    ['an open comment', 'SELECT 1 /* and'],
    ['a psql command', '\\i other.sql'],
    ['nothing but parentheses', ')('],
  ])('%s is unparsable, and dangerous', (_, file) => {
    const judged = judge(file);
    expect(rulesIn(judged)).toContain('unparsable-statement');
    expect(judged.analysis.verdict).toBe('dangerous');
  });

  test.each([
    ['nothing', ''],
    ['a byte order mark alone', '\ufeff'],
    ['whitespace', ' \r\n\t\n'],
    ['comments', '-- This is an empty migration.\n/* really */'],
    ['semicolons', ';;;'],
  ])('%s is safe, and worth a notice', (_, file) => {
    const judged = judge(file);
    expect(rulesIn(judged)).toEqual(['empty-migration']);
    expect(judged.analysis.verdict).toBe('safe');
  });
});

describe('large files', () => {
  const parentheses = 100_000;

  test('50,000 statements', () => {
    const file = Array.from({ length: 50_000 }, (_, index) => `INSERT INTO "t" VALUES (${index});`).join(
      '\n',
    );
    const { analysis, tookMs } = judge('CREATE TABLE "t" ("id" int8 PRIMARY KEY);', file);
    expect(analysis.migrations[1]?.statements).toHaveLength(50_000);
    expect(tookMs).toBeLessThan(15_000);
  }, 60_000);

  test('50,000 statements of which one does not parse', () => {
    const statements = Array.from({ length: 50_000 }, (_, index) => `INSERT INTO "t" VALUES (${index});`);
    statements[40_000] = 'INSERT INTO `t` VALUES (1);';
    const { analysis, tookMs } = judge('CREATE TABLE "t" ("id" int8 PRIMARY KEY);', statements.join('\n'));
    expect(analysis.migrations[1]?.statements).toHaveLength(49_999);
    expect(tookMs).toBeLessThan(15_000);
  }, 60_000);

  test('10 MB in one statement', () => {
    const rows = Array.from({ length: 100_000 }, (_, index) => `(${index}, '${'x'.repeat(90)}')`).join(',\n');
    const { analysis, tookMs } = judge(
      'CREATE TABLE "t" ("id" int8 PRIMARY KEY, "v" text);',
      `INSERT INTO "t" VALUES ${rows};`,
    );
    expect(analysis.migrations[1]?.statements).toHaveLength(1);
    expect(tookMs).toBeLessThan(15_000);
  }, 60_000);

  test.each([
    ['open', '('.repeat(parentheses)],
    ['an expression', `SELECT ${'('.repeat(parentheses)}1${')'.repeat(parentheses)};`],
    ['queries', `${'SELECT * FROM ('.repeat(20_000)}SELECT 1${') x'.repeat(20_000)};`],
    ['a default', `ALTER TABLE "t" ADD COLUMN "v" int DEFAULT ${'('.repeat(5_000)}1${')'.repeat(5_000)};`],
    ['a sum', `ALTER TABLE "t" ADD CHECK ("id" > ${'1 + '.repeat(20_000)}1);`],
    ['a sum that parses', `ALTER TABLE "t" ADD CHECK ("id" > ${'1 + '.repeat(4_000)}1);`],
    ['calls that parse', `UPDATE "t" SET "id" = ${'f('.repeat(4_000)}1${')'.repeat(4_000)};`],
    ['signs', `SELECT ${'- '.repeat(50_000)}1;`],
    ['comments', `${'/*'.repeat(5_000)} ; ${'*/'.repeat(5_000)} SELECT 1;`],
    ['dollar quotes', Array.from({ length: 2_000 }, (_, index) => `$a${index}$`).join(';')],
    ['blocks', `DO $$ ${'BEGIN '.repeat(2_000)} NULL; ${'END; '.repeat(2_000)} $$;`],
  ])(
    'deep nesting: %s',
    (_, file) => {
      const { analysis, tookMs } = judge(
        'CREATE TABLE "t" ("id" int8 PRIMARY KEY);',
        file,
        'DROP TABLE "t";',
      );
      expect(analysis.migrations).toHaveLength(3);
      // The parser lives on.
      expect(analysis.migrations[2]?.violations.map(({ rule }) => rule)).toContain('drop-table');
      expect(tookMs).toBeLessThan(5_000);
    },
    60_000,
  );
});
