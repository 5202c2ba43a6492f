/** What the analyser follows by itself has to be what PostgreSQL makes of the same statements. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { factsFrom, schemaFrom } from '../../src/analysis/schema/from-catalogue.ts';
import type { Catalogue, CatalogueColumn, CatalogueTable } from '../../src/catalogue.ts';
import { loadParser } from '../../src/sql/parse.ts';
import { splitStatements } from '../../src/sql/split.ts';
import {
  availableMajors,
  majors,
  startServer,
  type TestDatabase,
  type TestServer,
} from '../support/postgres.ts';
import { differences, walk } from './compare-schemas.ts';
import { liveSchema, withClient } from './live.ts';
import { statement } from './statements.ts';

const root = path.resolve(import.meta.dirname, '../..');
const nasty = readFileSync(path.join(import.meta.dirname, 'nasty.sql'), 'utf8');

/** Every folder of migrations in the repository. */
const folders = ['examples', 'test/fixtures'].flatMap((place) => [
  ...new Set(
    readdirSync(path.join(root, place), { recursive: true, encoding: 'utf8' })
      .filter((file) => path.basename(file) === 'migration.sql')
      .map((file) => path.join(place, file, '../..')),
  ),
]);
const filesOf = (folder: string): string[] =>
  readdirSync(path.join(root, folder))
    .sort()
    .map((name) => path.join(root, folder, name, 'migration.sql'))
    .filter((file) => existsSync(file))
    .map((file) => readFileSync(file, 'utf8'));

beforeAll(loadParser);

describe.each(majors)('PostgreSQL %i', (major) => {
  const run = availableMajors.includes(major);
  let server: TestServer | undefined;
  let database: TestDatabase;
  beforeAll(async () => {
    if (run) server = await startServer(major);
  });
  afterAll(() => server?.stop());
  beforeEach(async () => {
    if (server !== undefined) database = await server.createDatabase();
  });
  afterEach(async () => {
    if (run) await database.drop();
  });

  test.runIf(run)('a script of everything that is hard to foresee', async () => {
    await withClient(database.url, async (client) => {
      for (const { text } of splitStatements(nasty)) await client.query(text);
    });
    expect(differences(await liveSchema(database.url), walk([nasty]))).toEqual([]);
  });

  test.runIf(run).each(folders)('the migrations of %s', async (folder) => {
    const done: string[] = [];
    await withClient(database.url, async (client) => {
      for (const text of filesOf(folder)) done.push(await executed(client, text));
    });
    expect(differences(await liveSchema(database.url), walk(done))).toEqual([]);
  });

  test.runIf(run)('statements at random', { timeout: 120_000 }, async () => {
    await withClient(database.url, (client) =>
      fc.assert(
        fc.asyncProperty(fc.array(statement, { minLength: 30, maxLength: 60 }), async (statements) => {
          await client.query(
            'drop schema public cascade; drop schema if exists s, z cascade; create schema public; reset search_path',
          );
          const done = [beginning];
          await client.query(beginning);
          for (const text of statements) if (await succeeds(client, text)) done.push(text);
          const said = differences(await liveSchema(database.url), walk([done.join(';\n')]));
          expect(said, done.join(';\n')).toEqual([]);
        }),
        {
          seed: Number(process.env.SEED ?? 20_260_101),
          numRuns: Number(process.env.RUNS ?? 40),
          endOnFailure: process.env.SHRINK !== '1',
        },
      ),
    );
  });
});

const beginning = `create schema s; create type mood as enum ('calm', 'sad');
  create table a (k int primary key, m mood default 'calm', "N" int check ("N" > 0));
  create table "B" (k int references a, m text unique, o mood[], check (k > 1));
  create table s.d (k int, m int, "N" int, o text, unique (k, m)); create index idx on s.d (o) where m > 1`;

async function succeeds(client: pg.Client, text: string): Promise<boolean> {
  try {
    await client.query(text);
    return true;
  } catch {
    return false;
  }
}

/** The part of a file that was done: up to the first statement that fails, without a transaction that was open then. */
async function executed(client: pg.Client, text: string): Promise<string> {
  const done: string[] = [];
  let begun: number | null = null;
  for (const { text: one, node } of splitStatements(text)) {
    if (!(await succeeds(client, one))) {
      await client.query('rollback');
      return done.slice(0, begun ?? done.length).join(';\n');
    }
    const kind = String(node.kind);
    if (kind === 'TRANS_STMT_BEGIN') begun = done.length;
    if (kind === 'TRANS_STMT_COMMIT') begun = null;
    done.push(one);
  }
  return done.join(';\n');
}

describe('a schema and facts from a catalogue', () => {
  const figures = { rows: 1, bytes: 8192, indexBytes: 16_384, reads: 3, writes: 4 };
  const tableOf = (name: string, more: Partial<CatalogueTable> = {}): CatalogueTable => ({
    schema: 'public',
    name,
    kind: 'table',
    parents: [],
    isDefault: false,
    partitionColumns: [],
    columns: [],
    constraints: [],
    indexes: [],
    figures,
    ...more,
  });
  const catalogue = (...tables: CatalogueTable[]): Catalogue => ({
    serverVersion: 150_018,
    timeZone: 'UTC',
    schemas: ['public', 'ext'],
    tables,
    types: [],
    functions: [],
    extensions: [],
  });
  const column = {
    name: 'a',
    type: { name: 'citext', schema: 'ext', modifiers: [], array: false },
    notNull: true,
    defaultValue: null,
    generated: null,
    identity: false,
    collation: null,
  };
  const schemaOf = (...tables: CatalogueTable[]) =>
    schemaFrom(catalogue(...tables), { defaultSchema: 'public' });

  test('everything is older than any migration, and all of it is known', () => {
    const schema = schemaOf(tableOf('t', { columns: [column] }));
    expect(schema.complete).toBe(true);
    expect(schema.tables.get('public.t')).toMatchObject({ since: -1, columnsKnown: true });
    expect(schema.tables.get('public.t')?.columns.get('a')).toMatchObject({
      since: -1,
      type: { schema: null },
    });
  });

  test('expressions are parsed when they are looked at; what does not parse is only there', () => {
    const columns = (["'x'::text", 'not an expression at all', true, 'NULL::character varying'] as const).map(
      (defaultValue, number): CatalogueColumn => ({ ...column, name: `c${number}`, defaultValue }),
    );
    const schema = schemaOf(tableOf('t', { columns }));
    const defaults = [...(schema.tables.get('public.t')?.columns.values() ?? [])].map(
      ({ defaultValue }) => defaultValue,
    );
    expect(defaults).toEqual([{ TypeCast: expect.anything() }, true, true, null]);
  });

  test('a NOT NULL that is not validated and a unique index that is not valid hold nothing', () => {
    const constraint = { name: 'n', kind: 'notNull' as const, columns: ['a'], valid: false };
    const schema = schemaOf(
      tableOf('t', {
        columns: [column],
        constraints: [{ ...constraint, references: null, referencedColumns: [], expression: null }],
        indexes: [
          { name: 'i', columns: ['a'], expressionColumns: [], unique: true, partial: false, valid: false },
        ],
      }),
    );
    expect(schema.tables.get('public.t')?.columns.get('a')?.notNull).toBe(false);
    expect(schema.indexes.get('public.i')?.unique).toBe(false);
  });

  test('a partitioned table has the figures of its partitions, at every depth', () => {
    const parents = (name: string) => ({ parents: [{ schema: 'public', name }] });
    const facts = factsFrom(
      catalogue(
        tableOf('p', { kind: 'partitioned', figures: { ...figures, rows: -1, bytes: 0 } }),
        tableOf('p1', parents('p')),
        tableOf('p2', { kind: 'partitioned', ...parents('p') }),
        tableOf('p21', { ...parents('p2'), figures: { ...figures, rows: -1 } }),
        tableOf('q', { kind: 'partitioned' }),
        tableOf('q1', { ...parents('q'), figures: { ...figures, rows: -1 } }),
      ),
    );
    expect(facts.tables.get('public.p')).toEqual({
      rows: 1,
      bytes: 16_384,
      indexBytes: 32_768,
      reads: 6,
      writes: 8,
    });
    expect(facts.tables.get('public.q')?.rows).toBe(-1);
    expect(facts).toMatchObject({ serverVersion: 150_018, timeZone: 'UTC' });
  });
});
