import { beforeAll, describe, expect, test } from 'vitest';
import { checksum } from '../../src/migrations/checksum.ts';
import { compare } from '../../src/migrations/compare.ts';
import { allow, checkAllowances, refuseFaults } from '../../src/migrations/fault.ts';
import type { History, HistoryRow } from '../../src/migrations/history.ts';
import { makePlan } from '../../src/migrations/plan.ts';
import type { Bundle, Migration } from '../../src/migrations/read.ts';
import { loadParser } from '../../src/sql/parse.ts';

beforeAll(loadParser);

const migration = (name: string, sql: string | Buffer = `select '${name}'`): Migration => {
  const bytes = Buffer.from(sql);
  return { name, sql: bytes, checksum: checksum(bytes) };
};
const bundle = (...migrations: Migration[]): Bundle => ({ id: 'bundle', migrations });

const now = new Date('2026-01-01T00:00:00Z');
let ids = 0;
function row(of: Migration, facts: Partial<HistoryRow> = {}): HistoryRow {
  ids += 1;
  return {
    id: String(ids),
    name: of.name,
    checksum: of.checksum,
    startedAt: now,
    finishedAt: now,
    rolledBackAt: null,
    logs: null,
    journalled: false,
    takingBack: false,
    ...facts,
  };
}
const history = (...rows: HistoryRow[]): History => ({
  exists: true,
  schemaExists: true,
  schemaInUse: true,
  rows,
});

const [a, b, c] = [migration('1_a'), migration('2_b'), migration('3_c')];

function seen(of: Bundle, past: History, outOfOrder: 'warn' | 'stop' = 'warn') {
  const { migrations, faults } = compare(of, past, { outOfOrder });
  return {
    states: migrations.map(({ name, state }) => `${name} ${state}`),
    faults: faults.map(({ code, severity, migration: at }) => `${code} ${severity} ${at}`),
  };
}

test('nothing applied on an empty database', () => {
  const empty: History = { exists: false, schemaExists: true, schemaInUse: false, rows: [] };
  expect(seen(bundle(a, b), empty)).toEqual({ states: ['1_a pending', '2_b pending'], faults: [] });
});

test('tables without a history need a baseline', () => {
  const used: History = { exists: false, schemaExists: true, schemaInUse: true, rows: [] };
  expect(seen(bundle(a), used).faults).toEqual(['BASELINE_REQUIRED stop null']);
});

describe('what a history says of one migration', () => {
  const failed = { finishedAt: null };
  const takenBack = { rolledBackAt: now };
  test.each<[string, HistoryRow[], string, string[]]>([
    ['applied', [row(a)], 'applied', []],
    ['edited', [row(a, { checksum: 'other' })], 'diverged', ['MIGRATION_DIVERGED stop 1_a']],
    ['failed', [row(a, failed)], 'failed', ['MIGRATION_FAILED_BEFORE stop 1_a']],
    ['interrupted', [row(a, { ...failed, journalled: true })], 'interrupted', []],
    [
      'failed half way',
      [row(a, { ...failed, journalled: true, logs: 'x' })],
      'failed',
      ['MIGRATION_FAILED_BEFORE stop 1_a'],
    ],
    [
      'interrupted, then edited',
      [row(a, { ...failed, journalled: true, checksum: 'other' })],
      'failed',
      ['MIGRATION_FAILED_BEFORE stop 1_a'],
    ],
    ['failed and rolled back whole', [row(a, { ...failed, ...takenBack })], 'pending', []],
    ['failed, resolved, applied', [row(a, { ...failed, ...takenBack }), row(a)], 'applied', []],
    ['applied and rolled back', [row(a, takenBack)], 'rolled back', ['MIGRATION_ROLLED_BACK stop 1_a']],
    ['applied, rolled back and changed since', [row(a, { ...takenBack, checksum: 'other' })], 'pending', []],
    ['rolled back and applied again', [row(a, takenBack), row(a)], 'applied', []],
  ])('%s', (_, rows, state, faults) => {
    expect(seen(bundle(a), history(...rows))).toEqual({ states: [`1_a ${state}`], faults });
  });
});

test('applied but not in the bundle', () => {
  expect(seen(bundle(b), history(row(a), row(b)))).toEqual({
    states: ['1_a missing', '2_b applied'],
    faults: ['MIGRATION_MISSING stop 1_a'],
  });
});

test.each(['warn', 'stop'] as const)('out of order: %s', (policy) => {
  expect(seen(bundle(a, b, c), history(row(b)), policy)).toEqual({
    states: ['1_a pending', '2_b applied', '3_c pending'],
    faults: [`MIGRATION_OUT_OF_ORDER ${policy} 1_a`],
  });
});

describe('allowing', () => {
  const { faults } = compare(bundle(b), history(row(a), row(b, { checksum: 'other' })), {
    outOfOrder: 'warn',
  });
  const reason = 'squashed into the first';

  test('by code, and only where it was said', () => {
    const allowed = allow(faults, [{ code: 'MIGRATION_MISSING', migration: '1_a', reason }]);
    expect(allowed.map((fault) => fault.allowed)).toEqual([reason, undefined]);
    expect(() => refuseFaults(allowed)).toThrow(expect.objectContaining({ code: 'MIGRATION_DIVERGED' }));
    refuseFaults(allow(allowed, [{ code: 'MIGRATION_DIVERGED', reason }]));
    const elsewhere = allow(faults, [{ code: 'MIGRATION_MISSING', migration: '9_z', reason }]);
    expect(() => refuseFaults(elsewhere)).toThrow(expect.objectContaining({ code: 'MIGRATION_MISSING' }));
  });

  test.each(['BASELINE_REQUIRED', 'MIGRATION_FAILED_BEFORE', 'MIGRATION_DROPS_LOCKS', 'nonsense'])(
    '%s cannot be',
    (code) => {
      expect(() => checkAllowances([{ code, reason }])).toThrow(
        expect.objectContaining({ code: 'ALLOWANCE_UNKNOWN' }),
      );
    },
  );
});

describe('plan', () => {
  const empty: History = { exists: false, schemaExists: true, schemaInUse: false, rows: [] };
  const planOf = (...migrations: Migration[]) => {
    const of = bundle(...migrations);
    return makePlan({
      bundle: of,
      history: empty,
      comparison: compare(of, empty, { outOfOrder: 'warn' }),
      serverVersion: '15.1',
    });
  };
  /** Statement numbers by segment: `1,2 | 3!` where `!` runs alone. */
  const shape = (sql: string): string | undefined =>
    planOf(migration('m', sql))
      .migrations[0]?.segments.map(
        (segment) =>
          segment.steps.map((step) => step.statement).join(',') +
          (segment.runs === 'alone' ? '!' : '') +
          (segment.rollsBack ? '-' : ''),
      )
      .join(' | ');

  test.each<[string, string, string]>([
    ['one transaction', 'create table t (); alter table t add a int', '1,2'],
    ['nothing', '-- nothing', ''],
    [
      'what refuses a transaction runs alone',
      'select 1; create index concurrently i on t (a); select 2',
      '1 | 2! | 3',
    ],
    ['a label and its use', "alter type e add value 'x'; select 1; select 'x'; select 2", '1,2 | 3,4'],
    ['a label that is not used', "alter type e add value 'x'; alter type e add value 'y'", '1,2'],
    ["the file's own transaction", 'begin; select 1; select 2; commit;', '2,3'],
    ['and what stands around it', 'select 1; begin; select 2; commit; select 3', '1 | 3 | 5'],
    ['its own transaction without an end', 'begin; select 1', '2'],
    ['its own rollback', 'begin; select 1; rollback; select 2', '2- | 4'],
    [
      'settings need no transaction',
      "set lock_timeout = '1s'; create index concurrently i on t (a)",
      '1! | 2!',
    ],
    ['savepoints', 'select 1; savepoint a; select 2; rollback to a', '1,2,3,4'],
  ])('%s', (_, sql, expected) => {
    expect(shape(sql)).toBe(expected);
  });

  test('it is JSON', () => {
    const plan = planOf(a, migration('m', 'vacuum'));
    expect(JSON.parse(JSON.stringify(plan))).toEqual(plan);
    expect(plan).toMatchObject({ needsJournal: true, createsHistory: true });
    expect(planOf(a).needsJournal).toBe(false);
  });

  test('SQL that does not parse warns, with its place, and is sent as it is', () => {
    const { faults, migrations } = planOf(migration('m', "select 'é';\n  selec 1"));
    expect(faults).toMatchObject([{ code: 'MIGRATION_UNPARSABLE', severity: 'warn', line: 2, column: 3 }]);
    expect(migrations[0]?.segments).toHaveLength(1);
  });

  test.each([
    ['UTF-16', Buffer.from('\uFEFFselect 1', 'utf16le')],
    ['a zero', Buffer.from('select 1;\0')],
  ])('%s stops', (_, sql) => {
    expect(planOf(migration('m', sql)).faults).toMatchObject([
      { code: 'MIGRATION_UNPARSABLE', severity: 'stop' },
    ]);
  });

  test('a file that drops locks stops, with its place', () => {
    expect(planOf(migration('m', 'select 1;\ndiscard all')).faults).toMatchObject([
      { code: 'MIGRATION_DROPS_LOCKS', severity: 'stop', line: 2, column: 1 },
    ]);
  });
});
