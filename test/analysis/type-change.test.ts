/** Every pair of types: what PostgreSQL really does to the files of a table and its index, against what we say. */
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { analyse } from '../../src/analysis/analyse.ts';
import { loadParser } from '../../src/sql/parse.ts';
import { availableMajors, startServer, type TestServer } from '../support/postgres.ts';

const types = [
  'integer',
  'bigint',
  'oid',
  'numeric',
  'numeric(10,2)',
  'numeric(12,2)',
  'numeric(12,4)',
  'double precision',
  'text',
  'varchar',
  'varchar(20)',
  'varchar(40)',
  'char(10)',
  'citext',
  'uuid',
  'boolean',
  'date',
  'timestamp',
  'timestamp(3)',
  'timestamp(0)',
  'timestamptz',
  'timestamptz(3)',
  'time(3)',
  'interval(3)',
  'bit(8)',
  'bit(16)',
  'varbit',
  'varbit(16)',
  'cidr',
  'inet',
  'json',
  'jsonb',
  'xml',
  'text[]',
  'varchar[]',
  'varchar(20)[]',
  'varchar(40)[]',
  'integer[]',
  'bigint[]',
  'mood',
  'mood2',
  'plain_domain',
  'checked_domain',
];
const setup = `
create extension citext;
create type mood as enum ('a', 'b');
create type mood2 as enum ('a', 'b', 'c');
create domain plain_domain as text;
create domain checked_domain as text check (value <> 'x');`;

interface Outcome {
  readonly rewrite: boolean;
  readonly indexBuild: boolean;
}

const usings = ['', ' using v::TYPE', ' using (v)'];

// The rules have been the same since 12: the newest shows that they still are.
describe.each(availableMajors.filter((major) => major === 18))('on PostgreSQL %i', (major) => {
  let server: TestServer;
  let client: pg.Client;

  beforeAll(async () => {
    await loadParser();
    server = await startServer(major);
    client = new pg.Client({ connectionString: server.url() });
    await client.connect();
    await client.query(setup);
  });

  afterAll(async () => {
    await client.end();
    await server.stop();
  });

  test.each(['UTC', 'Asia/Tokyo'])(
    'every pair of types with TimeZone %s',
    async (zone) => {
      await client.query(`set timezone = '${zone}'`);
      const wrong: string[] = [];
      for (const from of types)
        for (const to of types)
          for (const using of usings) {
            const change = `alter table t alter column v type ${to}${using.replace('TYPE', to)}`;
            const happened = await observe(client, from, change);
            if (happened === null) continue;
            const said = predict(from, change, zone);
            if (said.rewrite !== happened.rewrite || said.indexBuild !== happened.indexBuild)
              wrong.push(
                `${from}: ${change}: happened ${JSON.stringify(happened)}, said ${JSON.stringify(said)}`,
              );
          }
      expect(wrong).toEqual([]);
    },
    300_000,
  );
});

const table = (from: string): string => `create table t (id int, v ${from}); create index t_v on t (v);`;
/** json and xml have no btree operator class. */
const hasOrder = (type: string): boolean => !['json', 'xml'].includes(type);

/** Null where there is no such cast. */
async function observe(client: pg.Client, from: string, change: string): Promise<Outcome | null> {
  const indexed = hasOrder(from);
  await client.query('begin');
  try {
    await client.query(indexed ? table(from) : `create table t (id int, v ${from})`);
    const before = await files(client);
    await client.query(change);
    const after = await files(client);
    const rewrite = before.t !== after.t;
    return { rewrite, indexBuild: !rewrite && indexed && before.t_v !== after.t_v };
  } catch {
    return null;
  } finally {
    await client.query('rollback');
  }
}

async function files(client: pg.Client): Promise<Readonly<Record<string, string>>> {
  const { rows } = await client.query<{ name: string; file: string }>(
    `select relname as name, relfilenode::text as file from pg_class where oid in ('t'::regclass, to_regclass('t_v'))`,
  );
  return Object.fromEntries(rows.map(({ name, file }) => [name, file]));
}

function predict(from: string, change: string, zone: string): Outcome {
  const index = hasOrder(from) ? 'create index t_v on t (v);' : '';
  const first = `${setup} create table t (id int, v ${from}); ${index}`;
  const { migrations } = analyse({
    migrations: [
      { name: '20240101000000_a', sql: Buffer.from(first), checksum: '' },
      { name: '20240102000000_b', sql: Buffer.from(`set timezone = '${zone}'; ${change}`), checksum: '' },
    ],
  });
  const effects = migrations[1]?.effects ?? [];
  return { rewrite: effects.includes('rewrite'), indexBuild: effects.includes('indexBuild') };
}
