import { expect, test } from 'vitest';
import { originOf } from '../../src/vault/origins.ts';
import type { Naming } from '../../src/vault/removals.ts';

const at = (written: string) => {
  const [schema = '', name = ''] = written.split('.');
  return { schema, name };
};
const relation = (from: string | null, to: string): Naming => ({
  kind: 'relation',
  from: from === null ? null : at(from),
  to: at(to),
});
const column = (table: string, from: string | null, to: string | null): Naming => ({
  kind: 'column',
  table: at(table),
  from,
  to,
});

/** Of a table with its columns: what it was called, what each was called, and is kept as. */
function trace(table: string, columns: readonly string[], namings: readonly Naming[]) {
  const origin = originOf(at(table), columns, namings);
  return [
    `${origin.schema}.${origin.name}`,
    columns.map((name) => origin.was(name)),
    columns.map((name) => origin.keptAs(name)),
  ];
}

test('nothing was called otherwise', () => {
  expect(trace('a.t', ['x'], [])).toEqual(['a.t', ['x'], ['x']]);
});

test('a table and its schema are followed through all their names', () => {
  const namings: readonly Naming[] = [
    relation('a.t', 'a.u'),
    column('a.u', 'x', 'y'),
    relation('a.u', 'b.u'),
    { kind: 'schema', from: 'b', to: 'c' },
    relation('c.other', 'c.t'),
    column('c.u', 'y', 'z'),
  ];
  expect(trace('c.u', ['z'], namings)).toEqual(['a.t', ['x'], ['x']]);
});

test('what took the name of another is not taken for it', () => {
  const aside = [relation('a.t', 'a.old'), relation(null, 'a.t'), column('a.t', 'x', 'y')];
  expect(trace('a.old', ['x'], aside)).toEqual(['a.t', ['x'], ['x']]);
  expect(originOf(at('a.t'), [], aside).made).toBe(true);
  expect(originOf(at('a.old'), [], aside).made).toBe(false);
});

test('columns that swap their names', () => {
  const swap = [column('a.t', 'x', 'z'), column('a.t', 'y', 'x'), column('a.t', 'z', 'y')];
  expect(trace('a.t', ['x', 'y'], swap)).toEqual(['a.t', ['y', 'x'], ['y', 'x']]);
});

test.each([
  ['that was dropped', [column('a.t', 'x', null), column('a.t', null, 'x')], ['x'], [null], [null]],
  [
    'that was put aside',
    [column('a.t', 'x', 'old'), column('a.t', null, 'x')],
    ['old', 'x'],
    ['x', null],
    ['x', null],
  ],
  [
    'that the migration had made',
    [column('a.t', null, 'x'), column('a.t', 'x', null), column('a.t', null, 'x')],
    ['x'],
    [null],
    ['x'],
  ],
] as const)('a new column in the place of one %s', (_, namings, columns, was, keptAs) => {
  expect(trace('a.t', columns, namings)).toEqual(['a.t', was, keptAs]);
});
