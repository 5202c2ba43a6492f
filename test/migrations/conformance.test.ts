import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parseTarget } from '../../src/db/target.ts';
import { baseline, resolveApplied, resolveRolledBack } from '../../src/migrations/recover.ts';
import { createDatabase } from '../support/postgres.ts';
import { bundleOf, deploy, historyOf, planFor, rowsOf, tablesOf } from './deploy.ts';
import { type PrismaDiagnosis, type PrismaEngine, prismaEngine } from './prisma-engine.ts';

let url: string;
let drop: () => Promise<void>;
let prisma: PrismaEngine;

beforeEach(async () => {
  ({ url, drop } = await createDatabase());
  prisma = prismaEngine(url);
});
afterEach(() => drop());

type Files = Record<string, string>;
const good: Files = { '1_a': 'create table a (id int)', '2_b': 'create table b (id int)' };
const clean: PrismaDiagnosis = { pending: [], failed: [], edited: [] };

const prismaSees = async (files: Files): Promise<PrismaDiagnosis> => prisma.diagnose(await bundleOf(files));
const weSee = async (files: Files): Promise<Partial<PrismaDiagnosis>> => {
  const { migrations, faults } = await planFor(url, await bundleOf(files));
  const of = (code: string): string[] =>
    faults.flatMap((fault) => (fault.code === code ? [fault.migration ?? ''] : []));
  return {
    pending: migrations.map(({ name }) => name),
    failed: of('MIGRATION_FAILED_BEFORE'),
    edited: of('MIGRATION_DIVERGED'),
  };
};
const recovery = async (files: Files) => ({
  target: parseTarget(url),
  bundle: await bundleOf(files),
  jobId: 'test',
  signal: new AbortController().signal,
});

test('the history that we create is the one that Prisma creates', async () => {
  const columns = `select column_name, data_type, character_maximum_length, is_nullable, column_default
                     from information_schema.columns where table_name = '_prisma_migrations' order by ordinal_position`;
  const constraints =
    "select conname, contype::text from pg_constraint where conrelid = '_prisma_migrations'::regclass order by 1";
  await deploy(url, good);
  const ours = [await rowsOf(url, columns), await rowsOf(url, constraints)];
  await rowsOf(url, 'drop table _prisma_migrations, a, b');
  await prisma.deploy(await bundleOf(good));
  const named = ([first, second]: object[][]) => [
    first,
    second?.filter((row) => 'contype' in row && row.contype !== 'n'),
  ];
  expect(named(ours)).toEqual(named([await rowsOf(url, columns), await rowsOf(url, constraints)]));
});

test('applied by us: Prisma finds nothing to do', async () => {
  await deploy(url, { ...good, '3_c': 'create index concurrently a_id on a (id); vacuum a' });
  const files = { ...good, '3_c': 'create index concurrently a_id on a (id); vacuum a' };
  expect(await prismaSees(files)).toEqual(clean);
  expect(await prisma.deploy(await bundleOf(files))).toEqual([]);
});

test('our rows are like its rows', async () => {
  await deploy(url, good);
  await rowsOf(url, 'drop table a, b; create schema kept; alter table _prisma_migrations set schema kept');
  await prisma.deploy(await bundleOf(good));
  const facts = `select migration_name, checksum, logs, rolled_back_at, applied_steps_count, id ~ '^[0-9a-f-]{36}$' as uuid,
                        finished_at >= started_at as ordered from`;
  expect(await rowsOf(url, `${facts} kept._prisma_migrations order by 1`)).toEqual(
    await rowsOf(url, `${facts} public._prisma_migrations order by 1`),
  );
});

test('applied by Prisma first, continued by us, and the other way round', async () => {
  await prisma.deploy(await bundleOf(good));
  const third = { ...good, '3_c': 'create table c (id int)' };
  expect((await deploy(url, third)).map(({ name }) => name)).toEqual(['3_c']);
  const fourth = { ...third, '4_d': 'create table d (id int)' };
  expect(await prismaSees(fourth)).toEqual({ ...clean, pending: ['4_d'] });
  expect(await prisma.deploy(await bundleOf(fourth))).toEqual(['4_d']);
  expect(await deploy(url, fourth)).toEqual([]);
  expect(await weSee(fourth)).toEqual(clean);
});

test('failed with us and rolled back whole: pending to Prisma, which applies it once it is mended', async () => {
  const broken = { ...good, '3_c': 'create table c (id int); select nowhere' };
  await expect(deploy(url, broken)).rejects.toMatchObject({ code: 'STATEMENT_FAILED' });
  expect(await prismaSees(broken)).toEqual({ ...clean, pending: ['3_c'] });
  expect(await prisma.deploy(await bundleOf({ ...good, '3_c': 'create table c (id int)' }))).toEqual(['3_c']);
});

test('half applied with us: failed to both, and resolved by either', async () => {
  const files = {
    ...good,
    '3_c': 'insert into a values (1), (1); create unique index concurrently a_id on a (id)',
  };
  await expect(deploy(url, files)).rejects.toMatchObject({ code: 'MIGRATION_HALF_APPLIED' });
  expect(await prismaSees(files)).toMatchObject({ failed: ['3_c'] });
  expect(await weSee(files)).toMatchObject({ failed: ['3_c'] });
  await expect(prisma.deploy(await bundleOf(files))).rejects.toThrow();
  await prisma.resolveRolledBack('3_c');
  expect(await weSee(files)).toEqual({ ...clean, pending: ['3_c'] });
  await rowsOf(url, 'delete from a');
  const mended = { ...good, '3_c': 'create unique index concurrently a_id on a (id)' };
  await deploy(url, mended);
  expect(await prismaSees(mended)).toEqual(clean);
});

test('failed with Prisma, half applied as it does: resolved by us', async () => {
  const files = { ...good, '3_c': 'create table c (id int); select nowhere' };
  await expect(prisma.deploy(await bundleOf(files))).rejects.toThrow();
  expect(await tablesOf(url)).toEqual(['a', 'b', 'c']);
  await expect(deploy(url, files)).rejects.toMatchObject({
    code: 'MIGRATION_FAILED_BEFORE',
    message: expect.stringContaining('nowhere'),
  });
  await resolveRolledBack({ ...(await recovery(files)), migration: '3_c' });
  expect(await prismaSees(files)).toEqual({ ...clean, pending: ['3_c'] });
  await expect(resolveRolledBack({ ...(await recovery(files)), migration: '3_c' })).rejects.toMatchObject({
    code: 'MIGRATION_NOT_APPLIED',
  });
  await resolveApplied({ ...(await recovery(files)), migration: '3_c' });
  expect(await prismaSees(files)).toEqual(clean);
  await expect(resolveApplied({ ...(await recovery(files)), migration: '3_c' })).rejects.toMatchObject({
    code: 'MIGRATION_NOT_APPLIED',
  });
  await expect(resolveApplied({ ...(await recovery(files)), migration: '9_z' })).rejects.toMatchObject({
    code: 'MIGRATION_NOT_FOUND',
  });
});

describe('baseline', () => {
  test('of a database that has the tables', async () => {
    await rowsOf(url, 'create table a (id int)');
    await expect(deploy(url, good)).rejects.toMatchObject({ code: 'BASELINE_REQUIRED' });
    expect(await baseline({ ...(await recovery(good)), upTo: '1_a' })).toEqual({ changed: ['1_a'] });
    expect(await prismaSees(good)).toEqual({ ...clean, pending: ['2_b'] });
    await deploy(url, good);
    expect(await prismaSees(good)).toEqual(clean);
    await expect(baseline(await recovery(good))).resolves.toEqual({ changed: [] });
    await expect(baseline({ ...(await recovery(good)), upTo: '1_a' })).rejects.toMatchObject({
      code: 'BASELINE_NOT_NEEDED',
    });
  });

  test('up to a migration that is not there', async () => {
    await expect(baseline({ ...(await recovery(good)), upTo: '9_z' })).rejects.toMatchObject({
      code: 'MIGRATION_NOT_FOUND',
    });
  });
});

test('edited: both say so; line ends may differ', async () => {
  await deploy(url, good);
  const edited = { ...good, '1_a': 'create table a (id bigint)' };
  expect(await prismaSees(edited)).toEqual({ ...clean, edited: ['1_a'] });
  expect(await weSee(edited)).toEqual({ ...clean, edited: ['1_a'] });
  const lines = { ...good, '3_c': 'select 1;\nselect 2;\n' };
  await deploy(url, lines);
  const windows = { ...lines, '3_c': 'select 1;\r\nselect 2;\r\n' };
  expect(await prismaSees(windows)).toEqual(clean);
  expect(await weSee(windows)).toEqual(clean);
});

test('rolled back after it was applied: pending to Prisma; we stop, unless it is allowed or changed', async () => {
  await deploy(url, good);
  await rowsOf(
    url,
    "drop table b; update _prisma_migrations set rolled_back_at = now() where migration_name = '2_b'",
  );
  expect(await prismaSees(good)).toEqual({ ...clean, pending: ['2_b'] });
  await expect(deploy(url, good)).rejects.toMatchObject({ code: 'MIGRATION_ROLLED_BACK' });
  await deploy(url, good, { allow: [{ code: 'MIGRATION_ROLLED_BACK', reason: 'the cause was mended' }] });
  expect(await prismaSees(good)).toEqual(clean);
  expect(await historyOf(url)).toHaveLength(3);
});
