import path from 'node:path';
import { expect, inject, test } from 'vitest';
import { availableMajors, onShared, startServer } from '../support/postgres.ts';
import type { Observation } from './observation.ts';
import { observeFolder } from './observe.ts';

const folder = path.join(import.meta.dirname, '../fixtures/truth');

const customer = 'public."Customer"';
const order = 'public."Order"';

/** What a migration shows that has nothing to show. */
const nothing = {
  outcome: 'applied',
  rows: true,
  ran: 'transaction',
  effects: [],
  findings: [],
  concurrent: [],
  validations: [],
  renamed: [],
  rowsInserted: {},
  rowsUpdated: {},
  rowsDeleted: {},
  milliseconds: 0,
};

const lock = (table: string, mode: string) => ({ table, mode });
const exclusive = (table: string) => lock(table, 'ACCESS EXCLUSIVE');

/** An effect, found in one table after the other. */
const found = (effect: string, ...places: readonly (readonly [table: string, statement: number])[]) => ({
  effects: [effect],
  findings: places.map(([table, statement]) => ({ effect, table, statement })),
});

const expected = [
  { ...nothing, name: '01_tables', harmless: true, locks: [] },
  { ...nothing, name: '02_harmless', harmless: true, locks: [exclusive(customer)] },
  {
    ...nothing,
    ...found('rewrite', [customer, 1]),
    name: '03_rewrite',
    harmless: false,
    locks: [exclusive(customer)],
  },
  {
    ...nothing,
    ...found('indexBuild', [order, 1], [customer, 2]),
    name: '04_index',
    harmless: false,
    locks: [exclusive(customer), lock(order, 'SHARE')],
  },
  {
    ...nothing,
    name: '05_concurrently',
    harmless: true,
    ran: 'statements',
    locks: [],
    concurrent: [order],
  },
  {
    ...nothing,
    ...found('foreignKeyScan', [order, 2]),
    name: '06_foreign_key',
    harmless: false,
    locks: [lock(customer, 'SHARE ROW EXCLUSIVE'), lock(order, 'SHARE ROW EXCLUSIVE')],
    rowsUpdated: { [order]: 3 },
  },
  {
    ...nothing,
    name: '07_not_valid',
    harmless: true,
    locks: [exclusive(customer), lock(order, 'SHARE ROW EXCLUSIVE')],
  },
  {
    ...nothing,
    name: '08_validate',
    harmless: true,
    locks: [lock(customer, 'SHARE UPDATE EXCLUSIVE'), lock(order, 'SHARE UPDATE EXCLUSIVE')],
    validations: [
      { table: order, constraint: 'Order_agentId_fkey', blocking: false },
      { table: customer, constraint: 'phone_given', blocking: false },
    ],
  },
  { ...nothing, name: '09_not_null_spared', harmless: true, locks: [exclusive(customer)] },
  {
    ...nothing,
    ...found('notNullScan', [customer, 1]),
    name: '10_not_null',
    harmless: false,
    locks: [exclusive(customer)],
  },
  {
    ...nothing,
    ...found('checkScan', [customer, 1], [order, 3]),
    name: '11_check',
    harmless: false,
    locks: [exclusive(customer), exclusive(order)],
    validations: [{ table: order, constraint: 'total_positive', blocking: true }],
  },
  {
    ...nothing,
    name: '12_required_column',
    harmless: false,
    outcome: 'appliedEmpty',
    error: 'column "country" of relation "Customer" contains null values',
    rows: false,
    locks: [exclusive(customer)],
  },
  {
    ...nothing,
    name: '13_own_transactions',
    harmless: false,
    ran: 'statements',
    locks: [exclusive(customer)],
    renamed: [`${customer}.note -> remark`],
    rowsUpdated: { [customer]: 1 },
  },
  {
    ...nothing,
    name: '14_fails',
    harmless: false,
    outcome: 'failed',
    error: 'relation "Missing" does not exist',
    rows: false,
    locks: [],
  },
  {
    ...nothing,
    ...found('dataLoss', [customer, 1], ['public."Legacy"', 2], ['public."Log"', 3]),
    name: '15_loss',
    harmless: false,
    locks: [
      lock('public."Address"', 'ROW EXCLUSIVE'),
      exclusive(customer),
      exclusive('public."Legacy"'),
      exclusive('public."Log"'),
    ],
    rowsDeleted: { 'public."Address"': 3 },
  },
  {
    ...nothing,
    name: '16_partition',
    harmless: false,
    effects: ['indexBuild', 'checkScan', 'notNullScan'],
    findings: [
      { effect: 'indexBuild', table: 'public."Event"', statement: 2 },
      { effect: 'notNullScan', table: 'public."Event"', statement: 2 },
      { effect: 'checkScan', table: 'public."Event"', statement: 3 },
    ],
    locks: [exclusive('public."Event"')],
  },
];

/** Times differ from run to run. */
const timeless = (observations: readonly Observation[]) =>
  observations.map((observation) => ({ ...observation, milliseconds: 0 }));

test('a folder shows what each of its migrations did, and leaves no database behind', async () => {
  expect(timeless(await observeFolder(folder, inject('postgresUrl')))).toEqual(expected);
  const left = await onShared((client) =>
    client.query("select from pg_database where datname like 'truth%'"),
  );
  expect(left.rowCount).toBe(0);
});

test.skipIf(!availableMajors.includes(18))('PostgreSQL 18 does the same', async () => {
  const server = await startServer(18);
  try {
    expect(timeless(await observeFolder(folder, server.url()))).toEqual(expected);
  } finally {
    await server.stop();
  }
});
