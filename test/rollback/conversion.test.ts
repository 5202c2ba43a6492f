/** A type changed back takes only what it takes whole: PostgreSQL's explicit casts cut the rest off without a word. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Session } from '../../src/db/session.ts';
import { conversion } from '../../src/rollback/conversion.ts';
import type { SchemaState } from '../../src/schema/difference.ts';
import { availableMajors, startServer, type TestServer } from '../support/postgres.ts';
import { open } from '../vault/harness.ts';

/** No enums. */
const state = { model: { facts: { get: () => undefined } } } as unknown as SchemaState;

type Values = readonly string[];
const cases: readonly [from: string, to: string, fits: Values, cut: Values][] = [
  ['text', 'character varying(3)', ['abc', 'äöü', ''], ['abcd']],
  ['character varying(5)', 'character varying(3)', ['abc'], ['abcd']],
  ['character varying(3)', 'character varying(5)', ['abc'], []],
  ['integer', 'character varying(2)', ['-1', '12'], ['123']],
  ['bit varying', 'bit(3)', ['101'], ['1010', '10']],
  ['timestamp with time zone', 'date', ['2024-01-01 00:00', 'infinity'], ['2024-01-01 00:00:01']],
  ['timestamp without time zone', 'date', ['2024-01-01'], ['2024-01-01 03:00']],
  [
    'timestamp(3) without time zone',
    'timestamp(0) without time zone',
    ['2024-01-01 10:00'],
    ['2024-01-01 10:00:00.1'],
  ],
  ['numeric(10,4)', 'numeric(10,2)', ['1.5000', '-7'], ['1.2345']],
  ['numeric', 'numeric(4,2)', ['12.34'], ['123', '1.234']],
  ['bigint', 'numeric(3,0)', ['999', '-999'], ['1000']],
  ['numeric', 'integer', ['7'], ['7.5', '3000000000']],
  ['double precision', 'integer', ['7', '-0'], ['7.5', '1e300', 'NaN']],
  ['bigint', 'integer', ['7'], ['3000000000']],
  ['double precision', 'real', ['0.1', '0.5', '0'], ['0.123456789012', '1e300', '1e-300']],
  ['bigint', 'double precision', ['9007199254740992'], ['9007199254740993']],
  ['numeric', 'double precision', ['0.1'], ['0.12345678901234567891']],
  ['double precision', 'numeric(10,2)', ['0.25'], ['0.123', '1e300']],
  ['text', 'integer', ['7', ' -7 '], ['junk', '', '7.5', '3000000000']],
  ['text', 'numeric(10,2)', ['7.25'], ['7.251', 'junk']],
  ['text', 'double precision', ['7.5', '1e3'], ['junk']],
  ['text', 'boolean', ['true', 'f'], ['junk']],
  ['text', 'uuid', ['3e25960a-79db-4b69-bf0a-1d3ad4b6b5d4'], ['junk']],
];

describe.each(availableMajors.filter((major) => [15, 18].includes(major)))('PostgreSQL %i', (major) => {
  let server: TestServer;
  let session: Session;
  beforeAll(async () => {
    server = await startServer(major);
    session = await open(server.url('postgres'));
  });
  afterAll(async () => {
    await session.close();
    await server.stop('immediate');
  });

  test.each(cases)('%s to %s', async (from, to, fits, cut) => {
    const { using, partial } = await conversion(session, { column: 'n', from, to }, state, state);
    const { rows } = await session.query<{ given: string; came: string | null; same: boolean }>(
      `select g as given, (${using})::text as came, (${using}) = n::text::${to} as same
         from unnest($1::text[]) g cross join lateral (select g::${from} as n) v`,
      [fits],
    );
    for (const { given, came, same } of rows)
      expect([given, came !== null, same]).toEqual([given, true, true]);
    const { rows: left } = await session.query<{ given: string; came: string | null }>(
      `select g as given, (${using})::text as came from unnest($1::text[]) g cross join lateral (select g::${from} as n) v`,
      [cut],
    );
    for (const { given, came } of left) expect([given, came]).toEqual([given, null]);
    expect(partial).toBe(cut.length > 0);
  });
});
