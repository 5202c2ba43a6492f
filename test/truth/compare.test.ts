import { expect, test } from 'vitest';
import { type AnalysedMigration, compare } from './compare.ts';
import type { Effect, Observation } from './observation.ts';

const observation = (
  name: string,
  effects: readonly Effect[],
  more: Partial<Observation> = {},
): Observation => ({
  name,
  outcome: 'applied',
  rows: true,
  ran: 'transaction',
  effects,
  findings: [],
  locks: [],
  concurrent: [],
  validations: [],
  renamed: [],
  rowsInserted: {},
  rowsUpdated: {},
  rowsDeleted: {},
  harmless: effects.length === 0,
  milliseconds: 1,
  ...more,
});

const analysed = (
  name: string,
  effects: readonly string[],
  verdict: AnalysedMigration['verdict'] = 'dangerous',
): AnalysedMigration => ({ name, verdict, effects, violations: [] });

test('counts what was told rightly, what was invented and what was missed', () => {
  const { scores, disagreements, compared } = compare(
    [
      observation('right', ['rewrite']),
      observation('other', ['rewrite']),
      observation('missed', ['indexBuild']),
      observation('invented', []),
    ],
    {
      migrations: [
        analysed('right', ['rewrite']),
        analysed('other', ['checkScan']),
        analysed('missed', []),
        analysed('invented', ['dataLoss']),
      ],
    },
  );
  expect(compared).toBe(4);
  expect(scores.rewrite).toEqual({
    truePositives: 1,
    falsePositives: 0,
    falseNegatives: 1,
    precision: 1,
    recall: 0.5,
  });
  expect(scores.blocks).toMatchObject({ truePositives: 2, falsePositives: 0, falseNegatives: 1 });
  expect(scores.dataLoss).toMatchObject({ falsePositives: 1, precision: 0, recall: null });
  expect(disagreements.map(({ name, missed, invented }) => ({ name, missed, invented }))).toEqual([
    { name: 'other', missed: ['rewrite'], invented: ['checkScan'] },
    { name: 'missed', missed: ['indexBuild'], invented: [] },
    { name: 'invented', missed: [], invented: ['dataLoss'] },
  ]);
});

test('lists the harmless ones that are not called safe', () => {
  const { harmless } = compare([observation('a', []), observation('b', []), observation('c', ['rewrite'])], {
    migrations: [analysed('a', [], 'safe'), analysed('b', [], 'caution'), analysed('c', ['rewrite'])],
  });
  expect(harmless).toMatchObject({ total: 2, safe: 1, notSafe: [{ name: 'b' }] });
});

test('leaves out what failed and what the analysis does not know', () => {
  const { compared, failed, unknown } = compare(
    [observation('failed', [], { outcome: 'failed', harmless: false }), observation('unknown', ['rewrite'])],
    { migrations: [analysed('failed', ['rewrite'])] },
  );
  expect(compared).toBe(0);
  expect(failed.map(({ name }) => name)).toEqual(['failed']);
  expect(unknown).toEqual(['unknown']);
});
