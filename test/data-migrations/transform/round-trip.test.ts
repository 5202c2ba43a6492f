import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openPlace, type Place } from './place.ts';

/** Columns of the tables, with what may stand in them: text that PostgreSQL takes for the type. */
const text = fc.string({ unit: 'grapheme', maxLength: 12 }).map((value) => value.replaceAll('\0', ''));
const awkward = fc.constantFrom(
  '',
  '\\N',
  '\\.',
  '\\',
  '\t',
  '\n',
  '\r\n',
  '\r',
  'NULL',
  'null',
  '{}',
  '"',
  "'",
  '\\\\N',
  ' ',
  'é😀',
  '\u2028',
  '\b\f\v\u0001',
);
const anyText = fc.oneof(
  text,
  awkward,
  fc.tuple(text, awkward, text).map((parts) => parts.join('')),
);
const double = fc.double().map((value) => (Object.is(value, -0) ? '-0' : String(value)));
const json = fc.oneof(
  fc.jsonValue().map((value) => JSON.stringify(value)),
  fc.constantFrom(
    'null',
    '1.10',
    '12345678901234567890',
    '123456789.123456789012',
    '{"a": 1e400}',
    '{"b":1,  "2":[]}',
    '"1.10"',
    '[1.0, null]',
    '{"__proto__": 5}',
    '-0',
    '1e5',
  ),
);
const printed = (items: readonly string[]): string =>
  `{${items.map((item) => `"${item.replaceAll(/["\\]/g, '\\$&')}"`).join(',')}}`;
const arrayOf = (item: fc.Arbitrary<string>) => fc.array(item, { maxLength: 4 }).map(printed);
const instant = fc
  .date({ min: new Date('0001-01-02T00:00:00Z'), max: new Date('9999-12-30T00:00:00Z'), noInvalidDate: true })
  .chain((date) =>
    fc.nat(999).map((micro) => date.toISOString().replace('Z', `${String(micro).padStart(3, '0')}Z`)),
  );
const withoutNul = (arbitrary: fc.Arbitrary<string>) =>
  arbitrary.filter((value) => !/\\u0000|\\ud[89a-f]/i.test(value));

const types: Readonly<Record<string, fc.Arbitrary<string>>> = {
  boolean: fc.constantFrom('t', 'f'),
  smallint: fc.integer({ min: -32_768, max: 32_767 }).map(String),
  integer: fc.integer().map(String),
  oid: fc.integer({ min: 0, max: 4_294_967_295 }).map(String),
  bigint: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String),
  real: fc.oneof(fc.float().map(String), fc.constantFrom('-0', '1e-45', '3.4028235e38', 'NaN', '-Infinity')),
  'double precision': fc.oneof(double, fc.constantFrom('5e-324', '0.1', '1e308')),
  numeric: fc.oneof(
    fc.integer().map(String),
    fc.constantFrom('1.10', 'NaN', '-0.000', `${'9'.repeat(60)}.${'1'.repeat(40)}`),
  ),
  text: anyText,
  'character(4)': fc.constantFrom('', 'a', 'é ', 'abcd'),
  uuid: fc.uuid(),
  timestamptz: fc.oneof(instant, fc.constantFrom('infinity', '-infinity', '4713-01-01 BC')),
  timestamp: instant,
  date: fc.constantFrom('2024-02-29', 'infinity', '0044-03-15 BC', '12345-01-01'),
  interval: fc.constantFrom('1 mon -2 days', '-00:00:00.000001', '178000000 years'),
  jsonb: withoutNul(json),
  json: json.filter((value) => !/\\ud[89a-f]/i.test(value)),
  bytea: fc.uint8Array({ maxLength: 20 }).map((bytes) => `\\x${Buffer.from(bytes).toString('hex')}`),
  'text[]': fc.oneof(
    arrayOf(anyText),
    fc.constantFrom('{NULL,"NULL",null}', '{{a,b},{"",d}}', '[0:1]={a,b}', '{}'),
  ),
  'integer[]': fc.oneof(arrayOf(fc.integer().map(String)), fc.constantFrom('[-5:-4]={1,NULL}', '{{1},{2}}')),
  'bigint[]': arrayOf(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String)),
  'double precision[]': arrayOf(double),
  'boolean[]': fc.constantFrom('{t,f,NULL}', '{}'),
  'bytea[]': fc.constantFrom('{"\\\\x00ff",NULL,"\\\\x"}'),
  'timestamptz[]': fc.constantFrom('{"2024-01-01 00:00:00.123456+00",infinity}'),
  'jsonb[]': fc.constantFrom('{"{\\"a\\": 1.10}","null",NULL}'),
  int4range: fc.constantFrom('[1,5)', 'empty', '(,)'),
  mood: fc.constantFrom('so, so', 'very "good"'),
  short: fc.constantFrom('ab', ''),
  'short[]': fc.constantFrom('{ab,NULL}'),
  pair: fc.constantFrom('(1,"a,\\"b")', '(,)'),
  'box[]': fc.constantFrom('{(2,2),(1,1);(4,4),(3,3)}'),
  inet: fc.constantFrom('::1/64', '10.0.0.0/8'),
  tsvector: fc.constantFrom("'a\\\\b':1A 'c':2"),
  money: fc.constantFrom('12.50'),
};
const names = Object.keys(types);
const columns = names.map((_, index) => `c${index}`);

let place: Place;
beforeAll(async () => {
  const list = names.map((type, index) => `c${index} ${type}`).join(', ');
  place = await openPlace(
    `create type mood as enum ('so, so', 'very "good"'); create domain short as varchar(2); create type pair as (a integer, b text);
     create table source (id bigint primary key, ${list}); create table target (like source);
     create table renamed (id bigint, ${names.map((type, index) => `d${index} ${type}`).join(', ')})`,
  );
});
afterAll(() => place.close());

const rows = fc.array(
  fc.tuple(...names.map((name) => fc.option(types[name] ?? fc.constant(''), { freq: 8 }))),
  {
    minLength: 1,
    maxLength: 8,
  },
);

async function fill(values: readonly (readonly (string | null)[])[]): Promise<void> {
  await place.source.query('truncate source, target, renamed');
  const places = ['$1', ...names.map((type, index) => `$${index + 2}::text::${type}`)].join(', ');
  for (const [index, row] of values.entries())
    await place.source.query(`insert into source values (${places})`, [index * 2 ** 31, ...row]);
}

/** Where the two print a value differently. */
async function differences(
  table: string,
  letter: string,
  print: (column: string) => string,
): Promise<string[]> {
  const { rows: found } = await place.source.query<{ type: string; was: string; is: string }>(
    names
      .map((type, index) => {
        const [was, is] = [print(`one.c${index}`), print(`other.${letter}${index}`)];
        return `select '${type}' as type, ${was} as was, ${is} as is from source one full join ${table} other using (id) where ${was} is distinct from ${is}`;
      })
      .join(' union all '),
  );
  return found.map(({ type, was, is }) => `${type}: ${was} became ${is}`);
}

test('what a module leaves alone is the same afterwards, to the letter', async () => {
  await place.withTransform(
    {
      module: 'export default (rows) => rows.map((row) => ({ ...row }));',
      read: 'select * from source',
      into: 'target',
      columns: ['id', ...columns],
    },
    async (run) => {
      await fc.assert(
        fc.asyncProperty(rows, async (values) => {
          await fill(values);
          expect(await run()).toMatchObject({ read: values.length, written: values.length, faults: [] });
          expect(await differences('target', 'c', (column) => `${column}::text`)).toEqual([]);
        }),
        { numRuns: 40 },
      );
    },
  );
});

/** What JavaScript's values cannot say is left out: digits beyond a number's, a null of JSON, spaces in JSON, lower bounds. */
function expressible(value: string | null, column: number): string | null {
  if (value === null) return null;
  const type = names[column] ?? '';
  if (type === 'json' || type === 'jsonb')
    return JSON.stringify(JSON.parse(value)) === value && !/^null$|[\d.]{16}|\de/.test(value) ? value : null;
  return type.endsWith('[]') && value.startsWith('[') ? null : value;
}

test('values that go through JavaScript arrive as they were', async () => {
  await place.withTransform(
    {
      module: `export default (rows) => rows.map((row) => ({
        id: row.id,
        ...Object.fromEntries(Object.entries(row).map(([name, value]) => [name.replace('c', 'd'), value])),
      }));`,
      read: 'select * from source',
      into: 'renamed',
      columns: ['id', ...names.map((_, index) => `d${index}`)],
    },
    async (run) => {
      await fc.assert(
        fc.asyncProperty(rows, async (values) => {
          await fill(values.map((row) => row.map(expressible)));
          await run();
          expect(await differences('renamed', 'd', (column) => `${column}::text`)).toEqual([]);
        }),
        { numRuns: 40 },
      );
    },
  );
});
