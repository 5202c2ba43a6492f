import fc from 'fast-check';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createDatabase, type TestDatabase } from '../../support/postgres.ts';
import { compare, told } from './compare.ts';

/** Types with values that all differ, as literals. */
const types: Readonly<Record<string, readonly string[]>> = {
  text: ['', 'a', 'A', 'ä', 'a ', 'NULL', "it's"],
  'varchar(20)': ['x', 'y', ' x'],
  int: ['0', '1', '-1', '2147483647'],
  bigint: ['0', '1', '4294967297', '-9223372036854775808'],
  smallint: ['0', '7'],
  'numeric(12,2)': ['0', '1', '-1', '99.01'],
  numeric: ['0', '0.001', '-0.001', 'NaN', 'Infinity', '-Infinity', '100'],
  real: ['0', '0.1', 'NaN', 'Infinity'],
  'double precision': ['0', '0.1', '-0.1', 'NaN'],
  boolean: ['true', 'false'],
  timestamptz: [
    '2020-01-01Z',
    '2020-01-01 00:00:00.000001Z',
    '2020-01-01 01:11:34.967296Z',
    'infinity',
    '0044-03-15 BC',
  ],
  timestamp: ['2020-01-01', '9999-12-31 23:59:59.999999', '9999-12-31 23:59:59.999998'],
  date: ['2020-01-01', '2020-01-02', '-infinity'],
  time: ['00:00', '24:00', '12:00:00.000001'],
  interval: ['1 mon', '30 days', '720 hours'],
  uuid: ['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12'],
  bytea: ['', '\\x00', '\\x0000'],
  jsonb: ['{}', '[]', 'null', '[[1],2]', '[[1,2]]', '{"a": 1}', '{"a": "1"}'],
  json: ['{}', '{ }', '{"a":1,"b":2}', '{"b":2,"a":1}'],
  'text[]': ['{}', '{a}', '{a,b}', '{{a,b}}', '{NULL}'],
  'bigint[]': ['{}', '{0}', '{4294967297}', '{0,0}'],
  inet: ['10.0.0.1', '10.0.0.1/8', '::1'],
  int4range: ['empty', '[1,2)', '[1,)'],
  mood: ['sad', 'glad'],
};
const typeNames = Object.keys(types);
const keyTypes: Readonly<Record<string, (n: number) => string>> = {
  int: (n) => String(n),
  bigint: (n) => String(n * 4_294_967_297),
  text: (n) => `key ${n}`,
  uuid: (n) => `00000000-0000-0000-0000-${String(n).padStart(12, '0')}`,
  'numeric(10,1)': (n) => `${n}.5`,
  date: (n) => new Date(n * 86_400_000).toISOString().slice(0, 10),
};

type Row = readonly (string | null)[];

const valueOfType = (type: string) => fc.option(fc.constantFrom(...(types[type] ?? [])), { freq: 4 });
const table = fc
  .record({
    keys: fc.array(fc.constantFrom(...Object.keys(keyTypes)), { minLength: 1, maxLength: 3 }),
    columns: fc.array(fc.constantFrom(...typeNames), { minLength: 1, maxLength: 8 }),
  })
  .chain(({ keys, columns }) =>
    fc.record({
      keys: fc.constant(keys),
      columns: fc.constant(columns),
      rows: fc.array(fc.tuple(...columns.map(valueOfType)), { minLength: 2, maxLength: 60 }),
    }),
  );
const difference = fc.record({
  kind: fc.constantFrom('change', 'remove', 'add', 'swap'),
  row: fc.nat(),
  other: fc.nat(),
  column: fc.nat(),
  value: fc.nat(),
});

let database: TestDatabase;
let client: pg.Client;
beforeAll(async () => {
  database = await createDatabase();
  client = new pg.Client({ connectionString: database.url });
  await client.connect();
  await client.query("create type mood as enum ('sad', 'glad')");
});
afterAll(async () => {
  await client.end();
  await database.drop();
});

test('of random tables exactly the planted differences are found', { timeout: 300_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(
      table,
      fc.array(difference, { maxLength: 8 }),
      async ({ keys, columns, rows }, planted) => {
        const source = new Map(rows.map((row, n) => [n, row]));
        const target = plant(source, columns, planted);
        await make('source', keys, columns, source);
        await make('target', keys, columns, target);
        const outcome = await compare(database.url);
        expect(told(outcome)).toEqual(expectedOf(keys, source, target));
        expect(outcome).toMatchObject({
          rows: { source: source.size, target: target.size },
          moving: { total: 0 },
          settled: 0,
        });
      },
    ),
    { numRuns: Number(process.env.RUNS ?? 40) },
  );
});

function plant(
  source: ReadonlyMap<number, Row>,
  columns: readonly string[],
  planted: readonly { kind: string; row: number; other: number; column: number; value: number }[],
): Map<number, Row> {
  const target = new Map(source);
  for (const { kind, row, other, column, value } of planted) {
    const [n, m, at] = [row % source.size, other % source.size, column % columns.length];
    const [one, two] = [target.get(n), target.get(m)];
    if (kind === 'add') target.set(1_000 + n, source.get(n) ?? []);
    if (one === undefined) continue;
    const values = types[columns[at] ?? ''] ?? [];
    if (kind === 'remove') target.delete(n);
    if (kind === 'change') target.set(n, one.with(at, values[value % values.length] ?? null));
    if (kind !== 'swap' || two === undefined || n === m) continue;
    target.set(n, one.with(at, two[at] ?? null));
    target.set(m, two.with(at, one[at] ?? null));
  }
  return target;
}

async function make(
  name: string,
  keys: readonly string[],
  columns: readonly string[],
  rows: ReadonlyMap<number, Row>,
): Promise<void> {
  const definitions = [
    ...keys.map((type, n) => `k${n} ${type}`),
    ...columns.map((type, n) => `c${n} ${type}`),
  ];
  await client.query(
    `drop table if exists ${name}; create table ${name} (${definitions.join(', ')}, primary key (${keys.map((_, n) => `k${n}`).join(', ')}))`,
  );
  const literal = (text: string | null): string => (text === null ? 'null' : pg.escapeLiteral(text));
  const lines = [...rows].map(([n, row]) => `(${[...keyOf(keys, n), ...row].map(literal).join(', ')})`);
  if (lines.length > 0) await client.query(`insert into ${name} values ${lines.reverse().join(', ')}`);
}

const keyOf = (keys: readonly string[], n: number): string[] => keys.map((type) => keyTypes[type]?.(n) ?? '');

function expectedOf(
  keys: readonly string[],
  source: ReadonlyMap<number, Row>,
  target: ReadonlyMap<number, Row>,
): string[] {
  const lines: string[] = [];
  for (const n of new Set([...source.keys(), ...target.keys()])) {
    const [one, two] = [source.get(n), target.get(n)];
    const key = keyOf(keys, n).join('/');
    if (one === undefined) lines.push(`extra ${key}`);
    else if (two === undefined) lines.push(`missing ${key}`);
    else {
      const differing = one.flatMap((value, at) => (value === two[at] ? [] : [`c${at}`]));
      if (differing.length > 0) lines.push(`changed ${key}: ${differing.join(', ')}`);
    }
  }
  return lines.sort();
}
