/** Values that might satisfy a check which the plain ones do not: guessed from what the check itself says. */
import type { Column, Type, Types } from './catalogue.ts';
import { literal } from './values.ts';

/** Other ones for another number, where the column is unique. */
function texts(letter: string): string[] {
  return [
    letter,
    letter.repeat(3),
    letter.repeat(3).toUpperCase(),
    `${letter}-b`,
    `${letter}_b`,
    '',
    '1',
    '12345',
    `${letter}@example.com`,
    `https://example.com/${letter}`,
    `/${letter}`,
    '#ffffff',
    '+15555550123',
    '2024-01-01',
    '00000000-0000-4000-8000-000000000001',
    '{}',
    '[]',
  ];
}

/** SQL expressions to try for the column, the likely ones first. */
export function candidatesFor(column: Column, types: Types, hints: string, n: number): string[] {
  const quoted = [...hints.matchAll(/'((?:[^']|'')*)'/g)].map(([, text = '']) => text.replaceAll("''", "'"));
  const numbers = [...hints.replaceAll(/'(?:[^']|'')*'/g, ' ').matchAll(/(?<![\w.])\d+(?:\.\d+)?/g)].map(
    ([n]) => Number(n),
  );
  const values = plainValues(
    categoryOf(types, column.type),
    quoted,
    numbers,
    'abcdefghijklmnopqrstuvwxyz'.charAt(n % 26),
  );
  const expressions = values.map((value) => `${literal(value)}::${column.typeName}`);
  if (column.notNull) return [...new Set(expressions)];
  // A check that speaks of NULL is about it.
  return [...new Set(/null/i.test(hints) ? ['null', ...expressions] : [...expressions, 'null'])];
}

function categoryOf(types: Types, oid: number): string {
  let type: Type | undefined = types.get(oid);
  while (type?.kind === 'd') type = types.get(type.base);
  if (type === undefined) return 'X';
  return type.name === 'json' || type.name === 'jsonb' ? 'json' : type.category;
}

function plainValues(
  category: string,
  quoted: readonly string[],
  numbers: readonly number[],
  letter: string,
): string[] {
  switch (category) {
    case 'N':
      return around([...numbers, ...quoted.map(Number).filter(Number.isFinite)]).map(String);
    case 'B':
      return ['true', 'false'];
    case 'json':
      return [...quoted.filter(isJson), '{}', '[]', '"a"', '1', 'true'];
    case 'A':
      return ['{}', ...quoted.map((text) => `{${text}}`), '{1}', '{1,2}'];
    case 'S':
      return [
        ...quoted,
        ...numbers
          .filter((n) => n <= 4_000)
          .flatMap((n) => [letter.repeat(n), '1'.repeat(n), letter.repeat(n + 1)]),
        ...texts(letter),
        // A pattern's alternatives and prefixes.
        ...quoted.map((text) => text.replaceAll(/[%^$]/g, '')),
      ];
    case 'D':
      return [...quoted, '2000-01-01', '2024-06-15', '2100-01-01'];
    default:
      return [...quoted];
  }
}

function around(numbers: readonly number[]): number[] {
  const sorted = [...new Set(numbers)].sort((a, b) => a - b);
  const between = sorted.slice(1).map((n, index) => (n + (sorted[index] ?? n)) / 2);
  return [...sorted, ...sorted.flatMap((n) => [n + 1, n - 1, -n]), ...between, 0, 1, -1];
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** All combinations of one value of each list, at most so many. */
export function* combinations(lists: readonly (readonly string[])[], limit: number): Generator<string[]> {
  const total = lists.reduce((product, list) => product * list.length, 1);
  for (let index = 0; index < Math.min(total, limit); index += 1) {
    let rest = index;
    yield lists.map((list) => {
      const value = list[rest % list.length] as string;
      rest = Math.floor(rest / list.length);
      return value;
    });
  }
}
