import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { loadParser, SyntaxFault } from '../../src/sql/parse.ts';
import { splitStatements } from '../../src/sql/split.ts';

beforeAll(loadParser);

const texts = (sql: string): string[] => splitStatements(sql).map((statement) => statement.text);

describe('what belongs together stays together', () => {
  test.each<[string, string, string[]]>([
    ['nothing', '', []],
    ['comments alone', '-- a\n/* b */\n', []],
    ['empty statements', ';; select 1;;\n;', ['select 1']],
    ['no last semicolon', 'select 1', ['select 1']],
    ['a comment after the last one', 'select 1; select 2 -- end', ['select 1', 'select 2 -- end']],
    [
      'dollar quotes',
      'do $x$ begin perform 1; end $x$; select 1',
      ['do $x$ begin perform 1; end $x$', 'select 1'],
    ],
    [
      'BEGIN ATOMIC',
      'create function f() returns int begin atomic select 1; select 2; end; select 3',
      ['create function f() returns int begin atomic select 1; select 2; end', 'select 3'],
    ],
    [
      'semicolons in strings',
      `select ';', E'\\';', ";" from t; select 2`,
      [`select ';', E'\\';', ";" from t`, 'select 2'],
    ],
    ['nested comments', 'select /* ; /* ; */ ; */ 1; select 2', ['select /* ; /* ; */ ; */ 1', 'select 2']],
    ['CRLF', 'select 1;\r\nselect\r\n2;\r\n', ['select 1', 'select\r\n2']],
    [
      'more than ASCII before it',
      `-- ${'é😀'.repeat(500)}\nselect '😀'; select 'é'`,
      [`select '😀'`, `select 'é'`],
    ],
  ])('%s', (_, sql, expected) => {
    expect(texts(sql)).toEqual(expected);
  });
});

test('line and column are those of the statement, in characters', () => {
  const places = splitStatements("-- é\n\n  select 1; select '😀'; select\n3;\r\n\tselect 4").map(
    ({ line, column }) => [line, column],
  );
  expect(places).toEqual([
    [3, 3],
    [3, 13],
    [3, 25],
    [5, 2],
  ]);
});

test('a text that does not parse says where', () => {
  const sql = "select 'é😀';\nselect from from";
  try {
    splitStatements(sql);
    expect.unreachable();
  } catch (error) {
    expect(error).toBeInstanceOf(SyntaxFault);
    expect(error).toMatchObject({ message: expect.stringContaining('from'), position: 26 });
  }
});

test('expressions too deep for the parser are a fault, and the parser stays usable', () => {
  expect(() => splitStatements(`select ${'1+'.repeat(100_000)}1`)).toThrow(SyntaxFault);
  expect(texts('select 1')).toEqual(['select 1']);
});

const statement = fc.constantFrom(
  'select 1',
  "select 'é;'",
  "insert into t values ('😀', $$;$$)",
  'create table "ü;" (a int)',
  'do $b$ begin null; end $b$',
  "select E'\\'; --' -- not a comment; 😀",
  'create function f() returns int begin atomic select 1; select 2; end',
);
const between = fc.constantFrom(';', ';\n', ' ;\r\n', ';;\n', '; -- é 😀\n', ';/* ; */ ', ';\n\t');
const before = fc.constantFrom('', '\n', '-- é\n', '/* 😀; */', '\r\n ');

test('statements and what lies between them give back the text', () => {
  fc.assert(
    fc.property(before, fc.array(fc.tuple(statement, between), { maxLength: 12 }), (lead, items) => {
      // A line comment at a statement's end would swallow the semicolon.
      const sql =
        lead + items.map(([one, gap]) => (one.includes('--') ? `${one}\n${gap}` : one + gap)).join('');
      const found = splitStatements(sql);
      expect(found.map(({ text }) => text)).toEqual(
        items.map(([one]) => expect.stringMatching(/./) && one.trimEnd()),
      );
      let end = 0;
      let rebuilt = '';
      for (const { text, offset } of found) {
        rebuilt += sql.slice(end, offset) + text;
        end = offset + text.length;
      }
      expect(rebuilt + sql.slice(end)).toBe(sql);
    }),
  );
});
