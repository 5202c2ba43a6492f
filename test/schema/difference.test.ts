import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseTarget } from '../../src/db/target.ts';
import {
  difference,
  readState,
  type SchemaDifference,
  type SchemaState,
} from '../../src/schema/difference.ts';
import { compareFingerprints, type Fingerprint, readFingerprint } from '../../src/schema/fingerprint.ts';
import type { TestDatabase } from '../support/postgres.ts';
import { type Change, changesFor } from './changes.ts';
import { baseSql, execute, openServer, type SchemaServer, tested, undone, work } from './place.ts';

const options = { applicationName: 'test' };
const state = (url: string): Promise<SchemaState> => readState(parseTarget(url), options);

/** What still differs after the statements, which leave nothing behind. */
const leftAfter = (url: string, { statements }: SchemaDifference, wanted: Fingerprint): Promise<string[]> =>
  work(url, (session) =>
    undone(session, async () => {
      for (const sql of statements) await session.query(sql);
      const found = await readFingerprint(session);
      return compareFingerprints(wanted, found).map(({ words }) => words);
    }),
  );

describe.each(tested)('the difference of two schemas on PostgreSQL %i', (major) => {
  let server: SchemaServer;
  let baseDatabase: TestDatabase;
  let base: SchemaState;

  beforeAll(async () => {
    server = await openServer(major);
    baseDatabase = await server.make(baseSql);
    base = await state(baseDatabase.url);
  });
  afterAll(() => server.close(), 300_000);

  const seen = changesFor(major).filter(({ unseen }) => unseen !== true);
  const unseen = changesFor(major).filter((change) => change.unseen === true);

  // The younger major has the same code behind it: a few of each kind will do.
  const eachOf = (changes: readonly Change[]): readonly Change[] =>
    major === 15 ? changes : changes.filter(({ since }, n) => since === major || n % 8 === 0);

  test.each(eachOf(seen))('goes there and back: $sql', async ({ sql, object, oneWay, anew }) => {
    const { url } = await server.copy(baseDatabase);
    await execute(url, sql);
    const changed = await state(url);
    const back = await difference(changed, base, options);
    const there = await difference(base, changed, options);
    expect(back.unsupported).toEqual([]);
    if (anew === true) expect([...back.drops.tables, ...back.drops.columns]).not.toEqual([]);
    expect(await leftAfter(url, back, base.fingerprint)).toEqual([]);
    if (oneWay === true)
      return expect(there.unsupported).toContainEqual(expect.stringContaining(`${object}: `));
    expect(there.unsupported).toEqual([]);
    expect(await leftAfter(baseDatabase.url, there, changed.fingerprint)).toEqual([]);
  });

  test('names all that it cannot change', async () => {
    const { url } = await server.copy(baseDatabase);
    for (const { sql } of unseen) await execute(url, sql);
    const { unsupported } = await difference(base, parseTarget(url), options);
    for (const { object } of unseen)
      expect(unsupported.filter((text) => text.startsWith(`${object}: `))).toHaveLength(1);
  });

  test('is empty between equal schemas', async () => {
    const { url } = await server.copy(baseDatabase);
    expect(await difference(base, await state(url), options)).toEqual({
      statements: [],
      boundaries: [],
      unsupported: [],
      drops: { tables: [], columns: [] },
    });
  });
});
