/** Code that drops tables: the ones that are gone afterwards have to be those of which the analyser speaks. */
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Analysis, analyse } from '../../src/analysis/analyse.ts';
import { loadParser } from '../../src/sql/parse.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';
import { withClient } from './live.ts';

const tables = ['a', 'b', 'c', 'order'] as const;
const init = `CREATE TABLE a (id int PRIMARY KEY, v text); CREATE TABLE b (id int PRIMARY KEY, v text);
CREATE TABLE c (id int PRIMARY KEY); CREATE TABLE "order" (id int PRIMARY KEY);
CREATE TABLE name_of (name text); INSERT INTO name_of VALUES ('a');
CREATE PROCEDURE drop_a() LANGUAGE plpgsql AS 'BEGIN DROP TABLE a; END';`;

const code = (declarations: string, body: string): string =>
  `DO $$ DECLARE ${declarations} nothing int; BEGIN ${body} END $$;`;
const columnOf = (table: string, column: string): string =>
  `SELECT 1 FROM information_schema.columns WHERE table_name = '${table}' AND column_name = '${column}'`;
const tableOf = (table: string): string => `SELECT 1 FROM pg_tables WHERE tablename = '${table}'`;

/** The code, and the tables that it drops. */
const followed: Readonly<Record<string, readonly [sql: string, drops: readonly string[]]>> = {
  'a procedure that is called': ['CALL drop_a();', ['a']],
  'text in a variable': [code("s text := 'DROP TABLE ';", "s := s || 'a'; EXECUTE s;"), ['a']],
  'a variable that was copied before it changed': [
    code("s text := 'DROP TABLE a'; t text;", "t := s; s := 'SELECT 1'; EXECUTE t;"),
    ['a'],
  ],
  'a default of another variable': [
    code("n text := 'a'; s text := 'DROP TABLE ' || n;", 'EXECUTE s;'),
    ['a'],
  ],
  'a variable whose name is no pattern': [
    code('"a(b" text;', `"a(b" := 'DROP TABLE'; "a(b" := "a(b" || ' a'; EXECUTE "a(b";`),
    ['a'],
  ],
  'text that is selected': [code('s text;', "SELECT 'DROP TABLE a' INTO s; EXECUTE s;"), ['a']],
  'fields of a record that are set one after the other': [
    code(
      'r record;',
      `SELECT ${Array.from({ length: 30 }, (_, n) => `'' AS f${n}`).join()} INTO r;
       ${Array.from({ length: 30 }, (_, n) => `r.f${n} := 'a' || r.f${Math.max(0, n - 1)};`).join(' ')} DROP TABLE a;`,
    ),
    ['a'],
  ],
  'text that doubles itself': [
    code("s text := 'x';", `${'s := left(s || s, 10); '.repeat(60)} DROP TABLE a;`),
    ['a'],
  ],
  'format() with names that are words of the grammar': [
    code('', "EXECUTE format('DROP TABLE %I, %2$s', 'order', 'a');"),
    ['a', 'order'],
  ],
  'quote_ident() within a longer name': [
    code('', "EXECUTE 'CREATE TABLE ' || quote_ident('z') || '_1 (id int)'; DROP TABLE a;"),
    ['a'],
  ],
  'FOREACH over constants, by way of a variable': [
    code(
      't text; s text;',
      "FOREACH t IN ARRAY ARRAY['a', 'b'] LOOP s := 'DROP TABLE ' || t; EXECUTE s; END LOOP;",
    ),
    ['a', 'b'],
  ],
  'FOREACH over a list in a variable': [
    code("t text; l text[] := '{a, b}';", "FOREACH t IN ARRAY l LOOP EXECUTE 'DROP TABLE ' || t; END LOOP;"),
    ['a', 'b'],
  ],
  'FOREACH over nothing': [
    code("t text; l text[] := '{}';", 'FOREACH t IN ARRAY l LOOP DROP TABLE a; END LOOP;'),
    [],
  ],
  'FOR over unnest()': [
    code(
      'r record;',
      "FOR r IN SELECT unnest(ARRAY['a', 'b']) AS t LOOP EXECUTE 'DROP TABLE ' || r.t; END LOOP;",
    ),
    ['a', 'b'],
  ],
  'FOR over VALUES, of which columns are chosen': [
    code(
      's text; t text;',
      `FOR s, t IN SELECT y, x FROM (VALUES ('a', 'b'), ('c', 'order')) v (x, y) LOOP
         EXECUTE format('DROP TABLE %I', s); END LOOP;`,
    ),
    ['b', 'order'],
  ],
  'what is asked once': [
    code('', `IF NOT EXISTS (${tableOf('z')}) THEN CREATE TABLE z (id int); DROP TABLE a; END IF;`),
    ['a'],
  ],
  'what the first IF answered for its ELSE': [
    code(
      '',
      `IF EXISTS (${tableOf('z')}) THEN DROP TABLE a; ELSE CREATE TABLE z (id int); DROP TABLE b; END IF;`,
    ),
    ['b'],
  ],
  'RETURN where something exists': [
    code('', `IF EXISTS (${tableOf('a')}) THEN RETURN; END IF; DROP TABLE a;`),
    [],
  ],
  'RETURN that is not reached': [
    code('', `IF EXISTS (${tableOf('z')}) THEN RETURN; END IF; CREATE TABLE z (id int); DROP TABLE a;`),
    ['a'],
  ],
  'an answer in a variable': [
    code('e boolean;', `SELECT EXISTS (${columnOf('a', 'v')}) INTO e; IF NOT e THEN DROP TABLE b; END IF;`),
    [],
  ],
  'an answer with a variable in the question': [
    code(
      "t text := 'a';",
      'IF NOT EXISTS (SELECT 1 FROM pg_tables WHERE tablename = t) THEN DROP TABLE a; END IF;',
    ),
    [],
  ],
  FOUND: [code('', `PERFORM ${columnOf('a', 'v').slice(7)}; IF NOT FOUND THEN DROP TABLE b; END IF;`), []],
};

/** What only the server knows: what may be dropped is named, or it is said that the code was not followed. */
const unknown: Readonly<Record<string, readonly [sql: string, says: readonly string[]]>> = {
  'text that a table has': [
    code('s text;', "SELECT name INTO s FROM name_of; EXECUTE 'DROP TABLE ' || s;"),
    ['not followed'],
  ],
  'text that is computed': [
    code(
      's text;',
      "FOR s IN SELECT lower(x) FROM (VALUES ('A')) v (x) LOOP EXECUTE 'DROP TABLE ' || s; END LOOP;",
    ),
    ['not followed'],
  ],
  'rows that are left out': [
    code(
      's text;',
      "FOR s IN SELECT x FROM (VALUES ('b'), ('a')) v (x) LIMIT 1 LOOP EXECUTE 'DROP TABLE ' || s; END LOOP;",
    ),
    ['not followed'],
  ],
  'a format that is not understood': [code('', "EXECUTE format('DROP TABLE %-3s', 'a');"), ['not followed']],
  'a list of which an element is set': [
    code(
      "t text; l text[] := '{b,b}';",
      "l[1] := 'a'; l[2] := 'a'; FOREACH t IN ARRAY l LOOP EXECUTE 'DROP TABLE IF EXISTS ' || t; END LOOP;",
    ),
    ['not followed'],
  ],
  'what GET DIAGNOSTICS sets': [
    code(
      "n text := 'b';",
      "GET DIAGNOSTICS n = ROW_COUNT; EXECUTE 'DROP TABLE IF EXISTS x' || n; EXECUTE 'DROP TABLE a';",
    ),
    ['a', 'not followed'],
  ],
  'an answer that a branch may have changed': [
    code(
      'e boolean;',
      `SELECT NOT EXISTS (${columnOf('a', 'q')}) INTO e;
       IF (SELECT count(*) FROM a) = 0 THEN ALTER TABLE a ADD COLUMN q int; END IF;
       IF e THEN DROP TABLE b; END IF;`,
    ),
    ['b'],
  ],
  'an answer that an earlier round has changed': [
    code(
      'e boolean; t text;',
      `SELECT NOT EXISTS (${columnOf('a', 'q')}) INTO e;
       FOREACH t IN ARRAY ARRAY['b', 'c'] LOOP
         IF e THEN EXECUTE 'DROP TABLE ' || t; END IF;
         ALTER TABLE a ADD COLUMN IF NOT EXISTS q int;
       END LOOP;`,
    ),
    ['b', 'c'],
  ],
  'a variable that an earlier round has set': [
    code(
      "t text := 'x';",
      "FOR i IN 1..2 LOOP EXECUTE 'DROP TABLE IF EXISTS ' || t; t := lower('A'); END LOOP;",
    ),
    ['not followed'],
  ],
  'what EXECUTE … INTO sets': [
    code("n text := 'b';", "EXECUTE 'SELECT ''a''' INTO n; EXECUTE 'DROP TABLE ' || n;"),
    ['not followed'],
  ],
  'one name in two blocks': [
    code("t text := 'b';", "DECLARE t text := 'a'; BEGIN EXECUTE 'DROP TABLE ' || t; END;"),
    ['not followed'],
  ],
  'a variable that is set under a condition': [
    code(
      "t text := 'a';",
      "IF (SELECT count(*) FROM a) > 0 THEN t := 'b'; END IF; EXECUTE 'DROP TABLE ' || t;",
    ),
    ['not followed'],
  ],
  'a variable that a loop sets': [
    code(
      "t text := '';",
      "FOR i IN 1..1 LOOP EXECUTE 'SELECT 1' || t; t := ' FROM b'; END LOOP; EXECUTE 'DROP TABLE a' || replace(t, t, '');",
    ),
    ['not followed'],
  ],
  'an answer that the code has changed': [
    code(
      'e boolean;',
      `SELECT EXISTS (${columnOf('a', 'q')}) INTO e; ALTER TABLE a ADD COLUMN q int; IF NOT e THEN DROP TABLE b; END IF;`,
    ),
    ['b'],
  ],
  'FOUND behind a count': [
    code(
      'n int;',
      `SELECT count(*) INTO n FROM pg_tables WHERE tablename = 'z'; IF FOUND THEN DROP TABLE a; END IF;`,
    ),
    ['a'],
  ],
  'FOUND behind a loop': [
    code(
      '',
      `PERFORM ${tableOf('z').slice(7)}; FOR i IN 1..1 LOOP RAISE DEBUG 'x'; END LOOP; IF FOUND THEN DROP TABLE a; END IF;`,
    ),
    ['a'],
  ],
  'ELSIF behind what is not known': [
    code(
      '',
      `IF (SELECT count(*) FROM a) > 3 THEN CREATE TABLE z (id int);
       ELSIF NOT EXISTS (${tableOf('z')}) THEN DROP TABLE a; END IF;`,
    ),
    ['a'],
  ],
  'the handler of an exception': [
    code('', 'BEGIN INSERT INTO a VALUES (NULL); EXCEPTION WHEN OTHERS THEN DROP TABLE a; END;'),
    ['a'],
  ],
  'a body whose statement fails': [
    code(
      '',
      'BEGIN ALTER TABLE a DROP CONSTRAINT nope; EXCEPTION WHEN undefined_object THEN DROP TABLE b; END;',
    ),
    ['b'],
  ],
  'more rounds than are followed': [
    code(
      't text;',
      `FOR t IN SELECT unnest(ARRAY[${Array.from({ length: 300 }, () => "'a'").join()}]) LOOP
         EXECUTE 'DROP TABLE IF EXISTS ' || t; END LOOP;`,
    ),
    ['not followed'],
  ],
};

function judge(sql: string): Analysis {
  return analyse({
    migrations: [
      { name: '20240101000000_a', sql: Buffer.from(init), checksum: '' },
      { name: '20240102000000_b', sql: Buffer.from(sql), checksum: '' },
    ],
  });
}

/** The tables that were there before and are said to be dropped, and whether something was not followed. */
function said(sql: string): string[] {
  const found = judge(sql).migrations[1]?.violations ?? [];
  const dropped = tables.filter((name) =>
    found.some(({ rule, table }) => rule === 'drop-table' && table === `public.${name}`),
  );
  return [...dropped, ...(found.some(({ rule }) => rule === 'code-not-followed') ? ['not followed'] : [])];
}

let database: TestDatabase;

beforeAll(async () => {
  await loadParser();
  database = await createDatabase();
  await withClient(database.url, (client) => client.query(init));
});

afterAll(() => database.drop());

/** What is gone after the code has run, which is taken back. */
async function dropped(client: pg.Client, sql: string): Promise<string[]> {
  await client.query('BEGIN');
  await client.query(sql);
  const { rows } = await client.query<{ name: string }>('SELECT tablename AS name FROM pg_tables');
  await client.query('ROLLBACK');
  return tables.filter((table) => rows.every(({ name }) => name !== table));
}

describe('what is followed', () => {
  test.each(Object.entries(followed))('%s', async (_name, [sql, drops]) => {
    expect(await withClient(database.url, (client) => dropped(client, sql))).toEqual(drops);
    expect(said(sql)).toEqual(drops);
  });
});

describe('what is not followed', () => {
  test.each(Object.entries(unknown))('%s', async (_name, [sql, says]) => {
    const gone = await withClient(database.url, (client) => dropped(client, sql));
    expect(gone).not.toEqual([]);
    expect(said(sql)).toEqual(says);
  });
});

test('loops within loops do not multiply', () => {
  const items = Array.from({ length: 100 }, () => "'a'").join();
  const loops = ['i', 'j', 'k'].map((name) => `FOREACH ${name} IN ARRAY ARRAY[${items}] LOOP`);
  const sql = code(
    'i text; j text; k text;',
    `${loops.join(' ')} UPDATE a SET v = k; ${'END LOOP; '.repeat(3)}`,
  );
  expect(judge(sql).migrations[1]?.violations.length).toBeLessThan(1000);
});

test('what is done to nothing, and passed over, is not done', () => {
  const rules = (handled: string): string[] =>
    (
      judge(code('', `BEGIN ALTER TABLE a DROP COLUMN nothing; EXCEPTION WHEN ${handled} THEN NULL; END;`))
        .migrations[1]?.violations ?? []
    ).map(({ rule }) => rule);
  expect(rules('undefined_column')).toEqual([]);
  expect(rules('duplicate_column')).toEqual(['drop-column']);
});

test('a name that only the server knows stands for another table in the next migration', () => {
  const loop = (statement: string): string =>
    code('t text;', `FOR t IN SELECT name FROM name_of LOOP EXECUTE format('${statement}', t); END LOOP;`);
  const { migrations } = analyse({
    migrations: [
      loop('CREATE TABLE %I (id int PRIMARY KEY, v text NOT NULL)'),
      loop('ALTER TABLE %I ALTER COLUMN v SET NOT NULL'),
    ].map((sql, number) => ({ name: `2024010${number}000000_a`, sql: Buffer.from(sql), checksum: '' })),
  });
  expect(migrations[1]?.effects).toContain('notNullScan');
});
