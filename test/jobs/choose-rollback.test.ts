import { describe, expect, test } from 'vitest';
import { appliedRows, chooseRows } from '../../src/jobs/rollbacks/choose-rollback.ts';
import type { HistoryRow } from '../../src/migrations/history.ts';

describe('which migrations are taken back', () => {
  const row = (number: number, facts: Partial<HistoryRow> = {}): HistoryRow => ({
    ...{
      id: `id${number}`,
      name: `${number}_m`,
      checksum: 'x',
      logs: null,
      journalled: false,
      takingBack: false,
    },
    startedAt: new Date(number * 1_000),
    finishedAt: new Date(number * 1_000 + 1),
    rolledBackAt: null,
    ...facts,
  });
  const names = (rows: readonly HistoryRow[]): string[] => rows.map(({ name }) => name);
  const applied = appliedRows([row(1), row(2, { rolledBackAt: new Date() }), row(3), row(4)]);

  test('the last applied comes first, whatever its name', () => {
    expect(names(applied)).toEqual(['4_m', '3_m', '1_m']);
    expect(names(appliedRows([row(5, { finishedAt: new Date(0) }), row(4)]))).toEqual(['4_m', '5_m']);
  });

  test('one that is half taken back is the last', () => {
    const half = row(2, { finishedAt: null, takingBack: true });
    expect(names(appliedRows([row(1), half]))).toEqual(['2_m', '1_m']);
  });

  test('a baseline, whose rows are of one time, is taken back from its last name on', () => {
    const at = { startedAt: new Date(1), finishedAt: new Date(2) };
    expect(names(appliedRows([row(2, at), row(3, at), row(1, at)]))).toEqual(['3_m', '2_m', '1_m']);
  });

  test('nothing is chosen where one failed half-way', () => {
    const failed = row(5, { finishedAt: null });
    expect(() => appliedRows([row(1), failed])).toThrow(
      expect.objectContaining({ code: 'MIGRATION_FAILED_BEFORE', details: { migration: '5_m' } }),
    );
  });

  test('a number, or all after one', () => {
    expect(names(chooseRows(applied, { count: 2 }, []))).toEqual(['4_m', '3_m']);
    expect(names(chooseRows(applied, { after: '1_m' }, []))).toEqual(['4_m', '3_m']);
    expect(names(chooseRows(applied, { after: '4_m' }, []))).toEqual([]);
  });

  test.each([
    [{ count: 4 }, 'MIGRATION_NOT_APPLIED'],
    [{ after: '2_m' }, 'MIGRATION_NOT_APPLIED'],
    [{ after: 'nowhere' }, 'MIGRATION_NOT_APPLIED'],
  ])('%o is refused', (choice, code) =>
    expect(() => chooseRows(applied, choice, [])).toThrow(expect.objectContaining({ code })),
  );

  test('a deployment is a tail, or is refused with the later ones named', () => {
    const of = { deployment: 'd' };
    expect(names(chooseRows(applied, of, ['3_m', '4_m']))).toEqual(['4_m', '3_m']);
    expect(names(chooseRows(applied, of, ['2_m', '4_m']))).toEqual(['4_m']);
    expect(names(chooseRows(applied, of, []))).toEqual([]);
    expect(() => chooseRows(applied, of, ['2_m'])).toThrow(
      expect.objectContaining({ code: 'MIGRATION_NOT_APPLIED' }),
    );
    expect(() => chooseRows(applied, of, ['1_m'])).toThrow(
      expect.objectContaining({
        code: 'ROLLBACK_NOT_LAST',
        details: { deployment: 'd', later: ['4_m', '3_m'], count: 3 },
      }),
    );
  });
});
