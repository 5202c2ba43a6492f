/** Over random small schemas: a vaulted statement leaves the database that PostgreSQL leaves, and its rows come back. */
import fc from 'fast-check';
import pg from 'pg';
import { expect, test } from 'vitest';
import type { Session } from '../../src/db/session.ts';
import { createRowFiller } from '../../src/rollback/rows/fill.ts';
import { listVault } from '../../src/vault/list.ts';
import type { Removal } from '../../src/vault/removals.ts';
import { restoreEntries } from '../../src/vault/restore.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';
import {
  changes,
  drop,
  dropColumns,
  dropTables,
  migrate,
  objects,
  open,
  texts,
  truncate,
} from './harness.ts';

const types = `create type mood as enum ('sad', 'ok', 'glad'); create domain short as varchar(5) check (value <> 'never');
  create type pair as (x int, y mood); create collation own (locale = 'C');
  create function touch() returns trigger language plpgsql as 'begin return new; end'`;

interface TableShape {
  readonly columns: readonly string[];
  readonly key: 'none' | 'one' | 'two' | 'unique';
  /** Of the table so many before it, or of itself. */
  readonly references: readonly {
    readonly back: number;
    readonly action: string;
    readonly deferrable: boolean;
  }[];
  readonly extras: readonly string[];
  readonly partitioned: boolean;
}

const columnTypes = [
  'int',
  'text',
  'mood',
  'short',
  'pair',
  'mood[]',
  'json',
  'numeric(8,3)',
  'timestamptz',
  'char(4)',
  'text collate own',
  'bytea',
  'short[]',
  'float8',
];
const shape: fc.Arbitrary<TableShape> = fc.record({
  columns: fc.array(fc.constantFrom(...columnTypes), { maxLength: 4 }),
  key: fc.constantFrom('none', 'one', 'two', 'unique'),
  references: fc.array(
    fc.record({
      back: fc.nat(2),
      action: fc.constantFrom(
        '',
        'on delete cascade',
        'on delete set null',
        'on update cascade on delete cascade',
        'on delete restrict',
      ),
      deferrable: fc.boolean(),
    }),
    { maxLength: 2 },
  ),
  extras: fc.uniqueArray(
    fc.constantFrom(
      'view',
      'trigger',
      'policy',
      'index',
      'grant',
      'rowtype',
      'statistics',
      'serial',
      'publication',
      'function',
      'materialized',
    ),
    { maxLength: 4 },
  ),
  partitioned: fc.boolean(),
});

const nameOf = (n: number): string => (n === 1 ? '"T able"' : `t${n}`);
const bare = (n: number): string => (n === 1 ? 'T able' : `t${n}`);

interface Parts {
  readonly table: string;
  readonly around: readonly string[];
}

/** The statements that make a table, and those that make what is around it. */
function sqlOf(tables: readonly TableShape[], n: number): Parts {
  const { columns, key, references, extras, partitioned } = tables[n] as TableShape;
  const name = nameOf(n);
  const whole = partitioned && key !== 'none';
  const parts = ['id int not null', 'k int not null', ...columns.map((type, c) => `"c ${c}" ${type}`)];
  if (extras.includes('serial')) parts.push('nr bigserial');
  if (columns[0] === 'int') parts.push('made int generated always as ("c 0" + 1) stored');
  if (key === 'one') parts.push('primary key (id)');
  if (key === 'two') parts.push('primary key (id, k)');
  if (key === 'unique') parts.push('unique (id)');
  references.forEach(({ back, action, deferrable }, r) => {
    const to = Math.max(0, n - back);
    const target = tables[to] as TableShape;
    if (target.key === 'none' || target.key === 'two') return;
    parts.push(
      `r${r} int references ${nameOf(to)} (id) ${action} ${deferrable ? 'deferrable initially deferred' : ''}`,
    );
  });
  const table = [
    `create table ${name} (${parts.join()})${whole ? ' partition by hash (id)' : ''}`,
    ...(whole
      ? [0, 1].map(
          (p) => `create table p${n}_${p} partition of ${name} for values with (modulus 2, remainder ${p})`,
        )
      : []),
  ].join('; ');
  const around: Record<string, string> = {
    view: `create view v${n} as select id, count(*) from ${name} group by id`,
    materialized: `create materialized view m${n} as select * from ${name}; create index on m${n} (id)`,
    trigger: `create trigger touch before update on ${name} for each row execute function touch()`,
    policy: `alter table ${name} enable row level security; create policy p on ${name} using (id > 0)`,
    index: `create index on ${name} (k) where id > 0`,
    grant: `grant select, update (k) on ${name} to public`,
    rowtype: `create table uses${n} (id int primary key, one ${name})`,
    statistics: `create statistics s${n} on id, k from ${name}`,
    publication: `create publication pub${n} for table ${name}`,
    function: `create function f${n}(x ${name}) returns int language sql as 'select 1'`,
  };
  return { table, around: extras.flatMap((extra) => around[extra] ?? []) };
}

interface Chosen {
  readonly kind: string;
  readonly table: number;
  readonly cascade: string;
}

type Step = readonly [Removal, string];
const statement = (tables: number): fc.Arbitrary<Chosen> =>
  fc.record({
    kind: fc.constantFrom('table', 'tables', 'column', 'truncate', 'delete', 'update', 'type', 'move'),
    table: fc.nat(tables - 1),
    cascade: fc.constantFrom('', ' cascade'),
  });

function stepOf({ kind, table, cascade }: Chosen, tables: number): Step {
  const name = nameOf(table);
  switch (kind) {
    case 'table':
      return dropTables(`drop table ${name}${cascade}`);
    case 'tables':
      return dropTables(`drop table ${name}, ${nameOf((table + 1) % tables)}${cascade}`);
    case 'column':
      return dropColumns(bare(table), ['k'], `alter table ${name} drop column k${cascade}`);
    case 'truncate':
      return truncate([bare(table)], `truncate ${name}${cascade}`);
    case 'delete':
      return changes([bare(table)], `delete from ${name} where id % 2 = 0`);
    case 'update':
      return changes([bare(table)], `update ${name} set k = k + 1000000, id = id + 500000`);
    case 'move':
      return changes([bare(table)], `update ${name} set k = 7`);
    default:
      return drop(`drop type ${cascade === '' ? 'mood' : 'pair'} cascade`);
  }
}

interface Made {
  readonly session: Session;
  readonly database: TestDatabase;
}

async function make(setUp: string): Promise<Made> {
  const database = await createDatabase();
  const session = await open(database.url);
  await session.query(setUp);
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  await createRowFiller().fill(client);
  await client.end();
  return { session, database };
}

const outcomeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'done',
    (error: unknown) => (error as { details?: { reason?: string } }).details?.reason ?? String(error),
  );

/** What every table has, by its columns' names. */
async function contents(session: Session): Promise<Record<string, string[]>> {
  const { rows } = await session.query<{ name: string; columns: string }>(
    `select c.oid::regclass::text as name, string_agg(quote_ident(a.attname), ', ' order by a.attname) as columns from pg_class c join pg_attribute a on a.attrelid = c.oid
      where c.relkind in ('r', 'p') and c.relnamespace = 'public'::regnamespace and a.attnum > 0 and not a.attisdropped group by 1 order by 1`,
  );
  const found: Record<string, string[]> = {};
  for (const { name, columns } of rows) found[name] = await texts(session, `select ${columns} from ${name}`);
  return found;
}

/** As the application writes afterwards: whether each works, and nothing of it stays. */
async function writes(session: Session): Promise<string[]> {
  const { rows } = await session.query<{ name: string }>(
    "select oid::regclass::text as name from pg_class where relkind in ('r', 'p') and relnamespace = 'public'::regnamespace order by 1",
  );
  const outcomes: string[] = [];
  for (const { name } of rows)
    for (const sql of [`delete from ${name}`, `update ${name} set id = id`]) {
      await session.query('begin');
      outcomes.push(`${sql}: ${await outcomeOf(session.query(sql))}`);
      await session.query('rollback');
    }
  for (const type of ['mood', 'short', 'pair']) {
    await session.query('begin');
    outcomes.push(`drop type ${type}: ${await outcomeOf(session.query(`drop type ${type}`))}`);
    await session.query('rollback');
  }
  return outcomes;
}

async function check(
  tables: readonly TableShape[],
  chosen: Chosen,
  plain: Made,
  vaulted: Made,
  parts: readonly Parts[],
): Promise<void> {
  const step = stepOf(chosen, tables.length);
  const before = await contents(vaulted.session);
  const expected = await outcomeOf(migrate(plain.session, [step[1]]));
  let ids: string[] = [];
  const outcome = await outcomeOf(
    migrate(vaulted.session, [step]).then((found) => {
      ids = found;
    }),
  );
  // Values of the row type lose the column, too.
  if (chosen.kind === 'column' && expected === 'done' && tables[chosen.table]?.extras.includes('rowtype')) {
    expect(outcome).toContain('row type');
    return;
  }
  expect(outcome).toBe(expected);
  expect(await objects(vaulted.session)).toEqual(await objects(plain.session));
  expect(await contents(vaulted.session)).toEqual(await contents(plain.session));
  expect(await writes(vaulted.session)).toEqual(await writes(plain.session));
  if (outcome !== 'done' || chosen.kind === 'type') return;
  const entries = await listVault(vaulted.session);
  expect(entries.map(({ facts }) => facts.copiedBecause).filter(Boolean)).toEqual([]);

  const { session } = vaulted;
  await session.query('begin');
  const left = await contents(session);
  if (chosen.kind === 'column') await session.query(`alter table ${nameOf(chosen.table)} add k int`);
  for (const [n, { table }] of parts.entries()) if (!(nameOf(n) in left)) await session.query(table);
  for (const [n, { extras }] of tables.entries())
    if (
      extras.includes('rowtype') &&
      `uses${n}` in left &&
      left[`uses${n}`]?.join() !== before[`uses${n}`]?.join()
    )
      await session.query(`alter table uses${n} add if not exists one ${nameOf(n)}`);
  const restored = await restoreEntries(session, ids);
  await session.query('commit');
  expect(restored.map(({ conflicts }) => conflicts).filter((one) => Object.keys(one).length > 0)).toEqual([]);
  const after = await contents(session);
  for (const [name, rows] of Object.entries(before))
    expect({ [name]: after[name] }).toEqual({ [name]: rows });
}

test('a vaulted statement leaves what PostgreSQL leaves, and its rows come back', async () => {
  const scenario = fc
    .array(shape, { minLength: 1, maxLength: 3 })
    .chain((tables) => fc.tuple(fc.constant(tables), statement(tables.length)));
  await fc.assert(
    fc.asyncProperty(scenario, async ([tables, chosen]) => {
      const parts = tables.map((_, n) => sqlOf(tables, n));
      const setUp = [
        types,
        ...parts.map(({ table }) => table),
        ...parts.flatMap(({ around }) => around),
      ].join(';\n');
      const both = [await make(setUp), await make(setUp)] as const;
      try {
        await check(tables, chosen, ...both, parts);
      } finally {
        for (const { session, database } of both) {
          await session.close();
          await database.drop();
        }
      }
    }),
    { numRuns: Number(process.env.VAULT_RUNS ?? 12), interruptAfterTimeLimit: 900_000 },
  );
}, 1_200_000);
