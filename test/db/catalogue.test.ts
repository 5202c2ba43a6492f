import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Catalogue, CatalogueTable } from '../../src/catalogue.ts';
import { readCatalogue } from '../../src/db/catalogue.ts';
import { withSession } from '../../src/db/session.ts';
import { parseTarget } from '../../src/db/target.ts';
import {
  availableMajors,
  majors,
  startServer,
  type TestDatabase,
  type TestServer,
} from '../support/postgres.ts';

describe.each(majors)('PostgreSQL %i', (major) => {
  const run = availableMajors.includes(major);
  let server: TestServer | undefined;
  let database: TestDatabase;
  let client: pg.Client;
  beforeAll(async () => {
    if (run) server = await startServer(major);
  });
  afterAll(() => server?.stop());
  beforeEach(async () => {
    if (server === undefined) return;
    database = await server.createDatabase();
    client = new pg.Client({ connectionString: database.url });
    await client.connect();
  });
  afterEach(async () => {
    if (!run) return;
    await client.end();
    await database.drop();
  });
  const it = test.runIf(run);

  const read = (): Promise<Catalogue> =>
    withSession(parseTarget(database.url), { applicationName: 'test:catalogue' }, readCatalogue);
  const made = async (sql: string): Promise<Catalogue> => {
    await client.query(sql);
    return read();
  };
  const tableOf = ({ tables }: Catalogue, name: string): CatalogueTable | undefined =>
    tables.find((table) => table.name === name);

  it('names types as the grammar does, with what stands in their parentheses', async () => {
    const catalogue = await made(`create schema other; create type other.mood as enum ('b', 'a');
      create type public."Mood" as enum (); alter type other.mood add value 'first' before 'b';
      create table rows (id int); create table t (a int, b char, c varchar(5)[], d numeric(7), e numeric(7, 2), f timestamptz(3), g interval(2),
        h interval year, i interval day to second(1), j bit varying(4), k time(0), l other.mood, m "Mood"[], n rows, o "char",
        p numeric, q varchar, r name, s bit)`);
    const types = tableOf(catalogue, 't')?.columns.map(
      ({ name, type: { schema, name: type, modifiers, array } }) =>
        `${name} ${schema ?? ''}.${type}(${modifiers.join()})${array ? '[]' : ''}`,
    );
    expect(types).toEqual([
      'a .int4()',
      'b .bpchar(1)',
      'c .varchar(5)[]',
      'd .numeric(7,0)',
      'e .numeric(7,2)',
      'f .timestamptz(3)',
      'g .interval(32767,2)',
      'h .interval(4)',
      'i .interval(7176,1)',
      'j .varbit(4)',
      'k .time(0)',
      'l other.mood()',
      'm public.Mood()[]',
      'n public.rows()',
      'o .char()',
      'p .numeric()',
      'q .varchar()',
      'r .name()',
      's .bit(1)',
    ]);
    expect(catalogue.types).toEqual([
      {
        schema: 'other',
        name: 'mood',
        kind: 'enum',
        labels: ['first', 'b', 'a'],
        base: null,
        constrained: false,
      },
      { schema: 'public', name: 'Mood', kind: 'enum', labels: [], base: null, constrained: false },
    ]);
  });

  it('reads columns, constraints and indexes', async () => {
    const catalogue = await made(`create table parent (id int primary key, code text collate "C" unique);
      create table child (id int generated always as identity, parent int not null default 7 references parent (id),
        twice int generated always as (parent * 2) stored, 
        constraint one exclude using btree (parent with =) where (id > 1));
      alter table child add constraint positive check (parent > 0) not valid;
      create index by_both on child ((parent + 1), id desc) include (twice) where id > 5`);
    const { columns, constraints, indexes } = tableOf(catalogue, 'child') ?? {};
    expect(columns).toMatchObject([
      { name: 'id', notNull: true, defaultValue: null, identity: true, generated: null },
      { name: 'parent', notNull: true, defaultValue: '7', identity: false },
      { name: 'twice', notNull: false, defaultValue: null, generated: 'stored' },
    ]);
    expect(tableOf(catalogue, 'parent')?.columns.map(({ collation }) => collation)).toEqual([null, 'C']);
    expect(constraints?.filter(({ kind }) => kind !== 'notNull')).toEqual([
      {
        name: 'child_parent_fkey',
        kind: 'foreign',
        columns: ['parent'],
        valid: true,
        references: { schema: 'public', name: 'parent' },
        referencedColumns: ['id'],
        expression: null,
      },
      expect.objectContaining({ name: 'one', kind: 'exclusion', columns: ['parent'], references: null }),
      expect.objectContaining({ name: 'positive', kind: 'check', valid: false, expression: '(parent > 0)' }),
    ]);
    expect(indexes).toEqual([
      {
        name: 'by_both',
        columns: [null, 'id'],
        expressionColumns: ['id', 'parent'],
        unique: false,
        partial: true,
        valid: true,
      },
      {
        name: 'one',
        columns: ['parent'],
        expressionColumns: ['id'],
        unique: false,
        partial: true,
        valid: true,
      },
    ]);
  });

  it('reads functions, domains, extensions, parents and kinds', async () => {
    const catalogue =
      await made(`create extension citext; create domain short as varchar(3) check (value <> '');
      create function f() returns int language plpgsql stable as 'begin return 1; end';
      create procedure p() language sql as 'select 1';
      create table parts (at date) partition by range (at); create table part partition of parts default;
      create view v as select 1 as one; create materialized view mv as select 1 as one`);
    const kinds = Object.fromEntries(catalogue.tables.map(({ name, kind }) => [name, kind]));
    expect(kinds).toEqual({ parts: 'partitioned', part: 'table', v: 'view', mv: 'materialized' });
    expect(tableOf(catalogue, 'part')?.parents).toEqual([{ schema: 'public', name: 'parts' }]);
    expect(catalogue.extensions).toEqual(['citext', 'plpgsql']);
    expect(catalogue.types).toMatchObject([
      { name: 'short', kind: 'domain', constrained: true, base: { name: 'varchar', modifiers: [3] } },
    ]);
    const byName = new Map(catalogue.functions.map((called) => [called.name, called]));
    expect(byName.get('f')).toMatchObject({
      volatility: 'stable',
      language: 'plpgsql',
      body: 'begin return 1; end',
    });
    expect(byName.get('f')?.definition).toMatch(/^CREATE OR REPLACE FUNCTION public\.f\(\)/);
    expect(byName.get('p')).toMatchObject({ volatility: 'volatile', language: 'sql', definition: '' });
    expect(byName.get('citext_eq')).toMatchObject({ volatility: 'immutable', language: 'c', body: '' });
  });

  it("leaves out PostgreSQL's own, Switchback's own and the temporary; is fit for JSON", async () => {
    const catalogue = await made(
      'create schema switchback; create table switchback.step (id int); create temp table passing (id int); create table public.t ()',
    );
    expect(catalogue.tables.map(({ name }) => name)).toEqual(['t']);
    expect(catalogue.schemas).toEqual(['public']);
    expect(JSON.parse(JSON.stringify(catalogue))).toEqual(catalogue);
  });

  it("gives the planner's figures, the version and the time zone; changes nothing of the session", async () => {
    await client.query(
      'create table t (id int primary key); create table never (id int); insert into t select generate_series(1, 5000)',
    );
    await client.query('vacuum analyze t');
    await client.query(`alter database ${database.name} set timezone = 'Europe/Zurich'`);
    const target = parseTarget(database.url);
    const [catalogue, path] = await withSession(
      target,
      { applicationName: 'test:catalogue' },
      async (session) => [
        await readCatalogue(session),
        (
          await session.query(
            "select current_setting('search_path') as path, current_setting('lock_timeout') as lock",
          )
        ).rows,
      ],
    );
    expect(path).toEqual([{ path: '"$user", public', lock: '0' }]);
    const figures = tableOf(catalogue, 't')?.figures;
    expect(figures).toMatchObject({ rows: 5000, bytes: 23 * 8192 });
    expect(figures?.indexBytes).toBeGreaterThan(8192);
    expect(tableOf(catalogue, 'never')?.figures).toMatchObject({ rows: -1, bytes: 0 });
    expect(Math.floor(catalogue.serverVersion / 10_000)).toBe(major);
    expect(catalogue.timeZone).toBe('Europe/Zurich');
  });

  it('does not wait for a table that somebody changes', async () => {
    await client.query(`create table busy (id int default 3 check (id > 0), twice int generated always as (id * 2) stored);
      create table calm (id int check (id > 1))`);
    await client.query('begin; alter table busy add column more int');
    const begun = performance.now();
    const catalogue = await read();
    expect(performance.now() - begun).toBeLessThan(5000);
    const expressions = (name: string) =>
      tableOf(catalogue, name)?.constraints.flatMap(({ kind, expression }) =>
        kind === 'check' ? [expression] : [],
      );
    expect(expressions('busy')).toEqual([null]);
    expect(expressions('calm')).toEqual(['(id > 1)']);
    expect(tableOf(catalogue, 'busy')?.columns.map(({ defaultValue }) => defaultValue)).toEqual(['3', null]);
    await client.query('rollback');
  });

  it('does without expressions where a lock cannot be had after all', async () => {
    // Everything but what the query leaves out: a lock that is not on the table's own name.
    await client.query('create table t (id int default 4 check (id > 0))');
    let texts = 0;
    const catalogue = await withSession(
      parseTarget(database.url),
      { applicationName: 'test:catalogue' },
      async (session) => {
        const script = session.script.bind(session);
        session.script = ((sql: string) => {
          texts += 1;
          return script(
            texts === 1 ? sql.replace('commit', "do 'begin raise sqlstate ''55P03''; end'") : sql,
          );
        }) as typeof session.script;
        return readCatalogue(session);
      },
    );
    expect(texts).toBe(2);
    expect(tableOf(catalogue, 't')?.columns).toMatchObject([{ defaultValue: true }]);
    expect(tableOf(catalogue, 't')?.constraints).toMatchObject([{ kind: 'check', expression: null }]);
  });
});
