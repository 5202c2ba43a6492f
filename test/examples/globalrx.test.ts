import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Bundle, readDirectory } from '../../src/migrations/read.ts';
import { deploy, rowsOf, tablesOf } from '../migrations/deploy.ts';
import { prismaEngine } from '../migrations/prisma-engine.ts';
import { createDatabase } from '../support/postgres.ts';

const example = path.resolve(import.meta.dirname, '../../examples/globalrx');
const read = (file: string): Promise<string> => readFile(path.join(example, file), 'utf8');

/** In Prisma's order. */
const sizes: readonly (readonly [name: string, lines: number])[] = [
  ['20250125_initial', 378],
  ['20260126014942_add_customer_portal_models', 206],
  ['20260129011632_add_address_block_models', 68],
  ['20260222_move_display_order', 4],
  ['20260222011200_add_display_order_to_dsx_mappings', 2],
];

let bundle: Bundle;
let databases: Awaited<ReturnType<typeof createDatabase>>[];

beforeEach(async () => {
  bundle = await readDirectory(path.join(example, 'prisma/migrations'));
  databases = [];
});
afterEach(() => Promise.all(databases.map(({ drop }) => drop())));

async function newDatabase(): Promise<string> {
  const database = await createDatabase();
  databases.push(database);
  return database.url;
}

const filesOf = (migrations: Bundle['migrations']): Record<string, Buffer> =>
  Object.fromEntries(migrations.map(({ name, sql }) => [name, sql]));

const namesOf = (migrations: readonly { name: string }[]): string[] => migrations.map(({ name }) => name);

/** Columns, constraints, indexes and enums, whatever the order in which they were made. */
const schemaOf = (url: string): Promise<{ fact: string }[]> =>
  rowsOf(
    url,
    `select concat_ws(' ', table_name, column_name, udt_name, character_maximum_length, datetime_precision,
                      numeric_precision, numeric_scale, is_nullable, column_default) as fact
       from information_schema.columns where table_schema = 'public' and table_name <> '_prisma_migrations'
     union all
     select concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid)) from pg_constraint
      where connamespace = 'public'::regnamespace and conrelid::regclass::text <> '_prisma_migrations'
     union all
     select indexdef from pg_indexes where schemaname = 'public' and tablename <> '_prisma_migrations'
     union all
     select concat_ws(' ', typname, enumlabel) from pg_enum join pg_type on pg_type.oid = enumtypid
     order by 1`,
  );

describe('examples/globalrx', () => {
  it('has the migrations of the case, in their sizes and in the order in which Prisma applies them', () => {
    const found = bundle.migrations.map(({ name, sql }) => [
      name,
      sql.toString('utf8').split('\n').length - 1,
    ]);
    expect(found).toEqual(sizes);
  });

  it('deploys with rows seeded after the first migration, and keeps what the others move', async () => {
    const url = await newDatabase();
    const [first, ...others] = bundle.migrations;
    await deploy(url, filesOf(first === undefined ? [] : [first]));
    await rowsOf(url, await read('seed.sql'));
    const before = await rowsOf(
      url,
      'select m.id, r."displayOrder" from dsx_mappings m join order_requirements r on r.id = m."requirementId" order by 1',
    );
    expect(before).toHaveLength(960);
    expect(namesOf(await deploy(url, filesOf(bundle.migrations)))).toEqual(namesOf(others));
    expect(await rowsOf(url, 'select id, "displayOrder" from dsx_mappings order by 1')).toEqual(before);
    expect(await prismaEngine(url).diagnose(bundle)).toEqual({ pending: [], failed: [], edited: [] });
  });

  it('seeds some 10,000 rows', async () => {
    const url = await newDatabase();
    await deploy(url, filesOf(bundle.migrations.slice(0, 1)));
    await rowsOf(url, await read('seed.sql'));
    const counts = await Promise.all(
      (await tablesOf(url)).map((table) =>
        rowsOf<{ n: number }>(url, `select count(*)::int as n from "${table}"`),
      ),
    );
    const total = counts.flat().reduce((sum, { n }) => sum + n, 0);
    expect(total).toBeGreaterThan(9_000);
    expect(total).toBeLessThan(12_000);
  });

  it("ends in what schema.prisma says, by Prisma's engine", async () => {
    const [migrated, made] = [await newDatabase(), await newDatabase()];
    await deploy(migrated, filesOf(bundle.migrations));
    await rowsOf(made, await prismaEngine(made).createSql(await read('prisma/schema.prisma')));
    expect(await schemaOf(migrated)).toEqual(await schemaOf(made));
  });

  it('is right in the order of bytes too, in which older engines of Prisma apply', async () => {
    const [byLocale, byBytes] = [await newDatabase(), await newDatabase()];
    await deploy(byLocale, filesOf(bundle.migrations));
    for (const { sql } of [...bundle.migrations].sort((a, b) => (a.name < b.name ? -1 : 1)))
      await rowsOf(byBytes, sql.toString('utf8'));
    expect(await schemaOf(byBytes)).toEqual(await schemaOf(byLocale));
  });

  it('has a reference of 583 lines: the schema after the first two', async () => {
    const reference = await read('prisma/migrations/initial_schema.sql');
    expect(reference.split('\n').length - 1).toBe(583);
    const [fromEmpty, migrated] = [await newDatabase(), await newDatabase()];
    await rowsOf(fromEmpty, reference);
    await deploy(migrated, filesOf(bundle.migrations.slice(0, 2)));
    expect(await schemaOf(fromEmpty)).toEqual(await schemaOf(migrated));
  });
});
