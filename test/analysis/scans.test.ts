/** What goes through tables beside what a statement names: what PostgreSQL really does, against what we say. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { analyse } from '../../src/analysis/analyse.ts';
import { loadParser } from '../../src/sql/parse.ts';
import { availableMajors, startServer } from '../support/postgres.ts';
import { blocking } from '../truth/observation.ts';
import { observeFolder } from '../truth/observe.ts';

const folder = path.join(import.meta.dirname, '../fixtures/scans');

const expected: Readonly<Record<string, readonly string[]>> = {
  '01_tables': [],
  '02_check_made_anew': ['checkScan public.checked'],
  '03_check_beside_a_new_column': ['rewrite public.checked'],
  '04_check_beside_a_new_type': ['rewrite public.checked'],
  '05_not_null_beside_a_new_column': ['rewrite public.checked'],
  '06_target_compared_alike': [],
  '07_target_of_a_domain': [],
  '08_target_compared_anew': ['foreignKeyScan public.pointing', 'rewrite public.target'],
  '09_domain': [],
  '10_domain_validated': ['checkScan public.worded'],
  '11_attached_beside_a_default': ['checkScan public.log_1', 'checkScan public.log_rest'],
  '12_new_beside_a_default': ['checkScan public.log_rest'],
  '13_default_detached': [],
  '14_new_without_a_default': [],
  '15_default_attached': ['checkScan public.log_rest'],
  '16_new_beside_it': ['checkScan public.log_rest'],
  '17_attached_without_index': ['indexBuild public.part_1'],
  '18_attached_without_key': ['checkScan public.part_2', 'foreignKeyScan public.part_2'],
  '19_key_using_index': ['notNullScan public.keyed'],
  '20_attached_with_another_check': ['checkScan public.log_5', 'checkScan public.log_rest'],
  '21_attached_with_a_check_that_allows_null': ['checkScan public.spread_6'],
  '22_attached_with_the_check': ['checkScan public.log_rest'],
};

const isBlocking = (effect: string | null): boolean => blocking.some((one) => one === effect);

beforeAll(loadParser);

test('what the rules say of the folder', () => {
  const migrations = Object.keys(expected).map((name) => ({
    name,
    sql: readFileSync(path.join(folder, name, 'migration.sql')),
    checksum: '',
  }));
  const said = analyse({ migrations }).migrations.map(({ name, violations }) => [
    name,
    violations
      .filter(({ effect }) => isBlocking(effect))
      .map(({ effect, table }) => `${effect} ${table}`)
      .sort(),
  ]);
  expect(Object.fromEntries(said)).toEqual(expected);
});

test.each(availableMajors.filter((major) => major === 15 || major === 18))(
  'what PostgreSQL %i does',
  async (major) => {
    const server = await startServer(major);
    try {
      const observed = await observeFolder(folder, server.url());
      const happened = observed.map(({ name, findings }) => [
        name,
        findings
          .filter(({ effect }) => isBlocking(effect))
          .map(({ effect, table }) => `${effect} ${table}`)
          .sort(),
      ]);
      expect(Object.fromEntries(happened)).toEqual(expected);
    } finally {
      await server.stop();
    }
  },
  120_000,
);
