import { beforeAll, expect, test } from 'vitest';
import { readExpression } from '../../src/sql/expression.ts';
import { loadParser } from '../../src/sql/parse.ts';

beforeAll(() => loadParser());

test.each([
  ['a', ['a']],
  ['"A" || b -- c', ['A', 'b']],
  ['lower(t.Name)::text', ['name']],
  ["E'\\''", []],
  ['a is null and b in (1, 2)', ['a', 'b']],
  ['(select x from y)', ['x']],
  ['(a, b)', ['a', 'b']],
])('%s is one expression, with its columns', (text, columns) => {
  expect([...readExpression(text).columns]).toEqual(columns);
});

test.each([
  '',
  '*',
  't.*',
  'a, b',
  'a b',
  'a as b',
  'a from t',
  'a where true',
  'a into t',
  'a limit 1',
  'a order by 1',
  'a for update',
  'a union select b',
  'distinct a',
  'all a',
  'a;',
  'a; -- b',
  '1; drop table t',
  'a) + (b',
  '1) from t --',
  '/* a',
  '$1',
])('"%s" is not', (text) => {
  expect(() => readExpression(text)).toThrow();
});
