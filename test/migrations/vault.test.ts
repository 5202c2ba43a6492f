/** What a deployment removes is kept, and nothing of the engine's promises changes for it. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { withSession } from '../../src/db/session.ts';
import { parseTarget } from '../../src/db/target.ts';
import { estimateKept } from '../../src/migrations/estimate-kept.ts';
import { createDatabase } from '../support/postgres.ts';
import { bundleOf, deploy, historyOf, once, openClient, planFor, rowsOf, tablesOf } from './deploy.ts';
import { prismaEngine } from './prisma-engine.ts';

let url: string;
let drop: () => Promise<void>;

beforeEach(async () => {
  ({ url, drop } = await createDatabase());
});
afterEach(() => drop());

const seed = `create table a (id serial primary key, n text unique);
  create table b (id int primary key, a int references a deferrable initially deferred);
  insert into a (n) select 'n' || i from generate_series(1, 3) i; insert into b select i, i from generate_series(1, 3) i`;

/** Deploys one migration over the seed. */
async function removing(sql: string, options: Parameters<typeof deploy>[2] = {}) {
  await deploy(url, { '1_seed': seed });
  const [outcome] = await deploy(url, { '1_seed': seed, '2_b': sql }, { vault: {}, ...options });
  if (outcome === undefined) throw new Error('nothing was deployed');
  return outcome;
}

interface Entry {
  kind: string;
  table_name: string;
  rows: number;
  operation: string;
  migration: string;
  direction: string;
  statement: number;
}

const entries = (): Promise<Entry[]> =>
  rowsOf<Entry>(
    url,
    'select kind, table_name, rows::int, operation, migration, direction, statement from switchback_vault.entry order by number',
  );

const hasVault = async (): Promise<boolean> =>
  (
    await rowsOf<{ there: boolean }>(url, "select to_regnamespace('switchback_vault') is not null as there")
  )[0]?.there === true;

test('entries say by what and where they were removed; the outcome names them', async () => {
  const outcome = await removing(
    'select 1; drop table b; alter table a drop column n; insert into a values (9)',
  );
  expect(await entries()).toEqual(
    [
      { kind: 'table', table_name: 'b', rows: 3, statement: 2 },
      { kind: 'column', table_name: 'a', rows: 3, statement: 3 },
      { kind: 'changes', table_name: 'a', rows: 1, statement: 4 },
    ].map((entry) => ({ ...entry, operation: 'deployment', migration: '2_b', direction: 'forth' })),
  );
  expect(outcome.kept).toEqual(
    (await rowsOf<{ id: string }>(url, 'select id from switchback_vault.entry order by number')).map(
      ({ id }) => id,
    ),
  );
  expect(await tablesOf(url)).toEqual(['a']);
});

test('what only adds makes no vault, and is sent as ever', async () => {
  const outcome = await removing(
    'alter table a add column m int; create table c (id int); insert into c values (1)',
  );
  expect(outcome.kept).toEqual([]);
  expect(await hasVault()).toBe(false);
});

test('filling a new column removes nothing, unless a trigger changes more', async () => {
  const fill = 'alter table a add column m int; update a set m = id';
  expect((await removing(fill)).kept).toEqual([]);
  await rowsOf(
    url,
    `create function touch() returns trigger language plpgsql as $$ begin new.n = new.n || '!'; return new; end $$;
     create trigger touch before update on a for each row execute function touch()`,
  );
  const files = { '1_seed': seed, '2_b': fill, '3_c': fill.replaceAll(' m ', ' o ') };
  expect((await deploy(url, files, { vault: {} }))[0]?.kept).toHaveLength(1);
});

test('after a table was moved away, everything of its name can be made anew', async () => {
  await removing(`drop table b; drop table a;
    create table a (id serial primary key, n text unique); create table b (id int primary key, a int constraint b_a_fkey references a);
    create type c as (x a); insert into a (n) values ('n1')`);
  expect(await rowsOf(url, 'select * from a')).toEqual([{ id: 1, n: 'n1' }]);
});

test('every statement is told before it runs, those that are kept too', async () => {
  const steps: number[] = [];
  await removing('select 1; drop table b; delete from a; create table c ()', {
    report: (event) => event.type === 'step' && steps.push(event.step.statement),
  });
  expect(steps).toEqual([1, 2, 3, 4]);
});

test('deferred constraints are checked at the end, and still fail there', async () => {
  const files = {
    '1_seed': seed,
    '2_b':
      'insert into b values (9, 99); insert into a values (99); delete from a where id = 1; delete from b where id = 1',
  };
  await deploy(url, { '1_seed': seed });
  await deploy(url, files, { vault: {} });
  expect(await rowsOf(url, 'select id from b order by id')).toEqual([{ id: 2 }, { id: 3 }, { id: 9 }]);
  await expect(deploy(url, { ...files, '3_c': 'delete from a' }, { vault: {} })).rejects.toMatchObject({
    code: 'STATEMENT_FAILED',
    message: expect.stringContaining('3_c'),
  });
  expect(await entries()).toHaveLength(4);
  expect(await rowsOf(url, "select 1 from pg_trigger where tgname like '%switchback%'")).toEqual([]);
});

test('rows are kept where the file has triggers and foreign keys switched off', async () => {
  await removing('set session_replication_role = replica; delete from a where id = 1');
  expect(await entries()).toMatchObject([{ table_name: 'a', rows: 1 }]);
});

test('a statement that fails is named with its line, and keeps nothing', async () => {
  await expect(removing('select 1;\ndrop table a')).rejects.toMatchObject({
    message: expect.stringMatching(/^2_b, line 2, column 1: cannot drop table a/),
    details: { line: 2, statement: 2 },
  });
  expect(await hasVault()).toBe(false);
  expect((await historyOf(url)).at(-1)).toMatchObject({ name: '2_b', rolledBack: true });
});

test("the file's own search_path and role stay its own", async () => {
  await removing(
    'create schema other; create table other.c (id int); set search_path = other; drop table public.b; insert into c values (1); create table here ()',
  );
  expect(await rowsOf(url, "select to_regclass('other.here') is not null as there")).toEqual([
    { there: true },
  ]);
});

test('a block that the file rolls back keeps nothing; the rest does', async () => {
  await removing(
    'begin; drop table b; rollback; begin; delete from b where id = 1; commit; delete from b where id = 2',
  );
  expect((await entries()).map(({ statement, rows }) => [statement, rows])).toEqual([
    [5, 1],
    [7, 1],
  ]);
});

describe('over the limit', () => {
  test('is refused while it runs, and nothing of the migration is left', async () => {
    await expect(
      removing('create table c (); drop table b', { vault: { limitBytes: 100 } }),
    ).rejects.toMatchObject({
      code: 'VAULT_FULL',
      message: expect.stringMatching(/^2_b, line 1.*The migration was rolled back whole/),
    });
    expect(await tablesOf(url)).toEqual(['a', 'b']);
    expect(await hasVault()).toBe(false);
  });

  test('goes on with a verified backup, and says so', async () => {
    const outcome = await removing('delete from b where id = 1; drop table b', {
      vault: { limitBytes: 100, whenFull: 'backup', backup: 'the-backup' },
    });
    expect(await tablesOf(url)).toEqual(['a']);
    expect(outcome.remarks).toEqual([
      expect.stringMatching(
        /^line 1: what it removes was not kept: the vault is full, and backup the-backup/,
      ),
      expect.stringMatching(/^line 1: what it removes was not kept/),
    ]);
  });

  test('does not go on without one', async () => {
    await expect(
      removing('drop table b', { vault: { limitBytes: 100, whenFull: 'backup' } }),
    ).rejects.toMatchObject({ code: 'VAULT_FULL' });
  });

  test('is known before anything runs where statistics tell', async () => {
    await deploy(url, { '1_seed': seed });
    await rowsOf(url, 'analyze');
    const bundle = await bundleOf({
      '1_seed': seed,
      '2_b': 'drop table b; alter table a drop column n; delete from a',
    });
    const plan = await planFor(url, bundle, true);
    const estimate = (limitBytes: number | null, whenFull: 'refuse' | 'backup') =>
      withSession(parseTarget(url), { applicationName: 'test' }, (session) =>
        estimateKept(session, plan, { limitBytes, whenFull }),
      );
    const [known] = (await estimate(null, 'refuse')).migrations;
    expect(known?.keeps).toMatchObject({ atMost: true, unknown: false, moved: false });
    expect(known?.keeps?.bytes).toBeGreaterThan(8_192);
    expect((await estimate(null, 'refuse')).faults).toEqual([]);
    const only = await planFor(url, await bundleOf({ '1_seed': seed, '2_b': 'drop table b' }), true);
    const full = await withSession(parseTarget(url), { applicationName: 'test' }, (session) =>
      estimateKept(session, only, { limitBytes: 1, whenFull: 'refuse' }),
    );
    expect(full.faults).toMatchObject([{ code: 'VAULT_FULL', severity: 'stop' }]);
    expect(full.migrations[0]?.keeps).toMatchObject({ rows: 3, moved: true });
  });
});

describe('what cannot be kept', () => {
  const commits = 'do $$ begin delete from b where id = 1; commit; delete from b where id = 2; end $$';

  test('is refused', async () => {
    await expect(removing(commits)).rejects.toMatchObject({ code: 'VAULT_CANNOT_KEEP' });
    expect(await rowsOf(url, 'select id from b order by id')).toHaveLength(3);
  });

  test('is done all the same where that is allowed by name', async () => {
    const outcome = await removing(commits, {
      allow: [{ code: 'VAULT_CANNOT_KEEP', migration: '2_b', reason: 'two rows, known by heart' }],
    });
    expect(await rowsOf(url, 'select id from b')).toEqual([{ id: 3 }]);
    expect(outcome.remarks).toContainEqual(expect.stringContaining('Allowed: two rows, known by heart'));
    expect(outcome.kept).toEqual([]);
  });

  test('is known beforehand of a text that does not parse', async () => {
    await expect(removing('drop table b; frobnicate')).rejects.toMatchObject({
      code: 'VAULT_CANNOT_KEEP',
      message: expect.stringContaining('does not parse'),
    });
  });

  test('an attribute of a type whose values are in a table', async () => {
    await expect(
      removing(
        'create type pair as (x int, y int); create table p (v pair); alter type pair drop attribute y',
      ),
    ).rejects.toMatchObject({ code: 'VAULT_CANNOT_KEEP', message: expect.stringContaining('p.v') });
    await deploy(
      url,
      { '1_seed': seed, '3_c': 'create type free as (x int, y int); alter type free drop attribute y' },
      { vault: {} },
    );
  });
});

test('a role that may not make the vault is told what to do', async () => {
  await deploy(url, { '1_seed': seed });
  const name = `deployer_${new URL(url).pathname.slice(1)}`;
  await rowsOf(
    url,
    `create role ${name} login password 'secret'; grant all on schema public to ${name}; alter table a owner to ${name}; alter table b owner to ${name}; alter table _prisma_migrations owner to ${name}`,
  );
  const own = new URL(url);
  own.username = name;
  own.password = 'secret';
  try {
    await expect(
      deploy(own.href, { '1_seed': seed, '2_b': 'drop table b' }, { vault: {} }),
    ).rejects.toMatchObject({
      code: 'PERMISSION_DENIED',
      message: expect.stringContaining('docs/operations.md'),
    });
    expect(await tablesOf(url)).toEqual(['a', 'b']);
  } finally {
    await rowsOf(url, `reassign owned by ${name} to current_user; drop owned by ${name}; drop role ${name}`);
  }
});

test('locks that saving waits for are limited, and tried for again', async () => {
  await deploy(url, { '1_seed': seed });
  const other = await openClient(url);
  // In the way of no INSERT, but of the trigger by which it is watched.
  await other.query('begin; lock table b in row exclusive mode');
  const [applied] = await deploy(
    url,
    { '1_seed': seed, '2_b': 'select 1; insert into b values (4, 1); delete from b where id = 1' },
    {
      vault: {},
      lockTimeoutMs: 100,
      lockBudgetMs: 30_000,
      report: once(
        ({ type }) => type === 'remark',
        () => void other.close(),
      ),
    },
  );
  expect(applied?.tries).toBeGreaterThan(1);
  expect(applied?.remarks[0]).toContain('SQLSTATE 55P03');
  expect((await entries()).map(({ statement, rows }) => [statement, rows])).toEqual([
    [2, 1],
    [3, 1],
  ]);
});

test('a deployment that is cancelled while it saves leaves nothing', async () => {
  await deploy(url, { '1_seed': seed });
  await rowsOf(url, 'insert into a (n) select i::text from generate_series(10, 300000) i');
  const abort = new AbortController();
  await expect(
    deploy(
      url,
      { '1_seed': seed, '2_b': 'select 1; truncate a cascade' },
      {
        vault: {},
        signal: abort.signal,
        report: once(
          (event) => event.type === 'step' && event.step.statement === 2,
          () => abort.abort(),
        ),
      },
    ),
  ).rejects.toMatchObject({ code: 'JOB_CANCELLED' });
  expect(await hasVault()).toBe(false);
  expect(await rowsOf(url, 'select count(*)::int as n from b')).toEqual([{ n: 3 }]);
});

test("Prisma's engine finds a history that it would have written", async () => {
  await removing('drop table b; delete from a');
  const bundle = await bundleOf({ '1_seed': seed, '2_b': 'drop table b; delete from a' });
  expect(await prismaEngine(url).diagnose(bundle)).toEqual({ pending: [], failed: [], edited: [] });
});
