import { readdirSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { conditions } from '../../src/alerts/conditions/index.ts';
import type { JobFact } from '../../src/alerts/define-condition.ts';
import { AppError } from '../../src/errors.ts';

const job = {
  ...{ id: 'x', kind: 'deployment', queue: 'operations', database: 'orders', step: 'apply' },
  requestedBy: 'ci',
};
const error = new AppError('STATEMENT_FAILED', 'no such table').toRecord();
const failed: JobFact = {
  ...{ type: 'finished', job, state: 'failed', error, rolledBack: [], runningMs: 400_000 },
};
const told = (fact: JobFact): string[] =>
  conditions.flatMap((condition) => (condition.evaluate(fact) === null ? [] : [condition.name]));

test.each<[string, JobFact, string[]]>([
  ['a job that failed', failed, ['job-failed']],
  ['the backup before a deployment', { ...failed, job: { ...job, step: 'backup' } }, ['backup-failed']],
  ['a backup', { ...failed, job: { ...job, kind: 'backup', step: 'dump' } }, ['backup-failed']],
  ['a job that is overdue', { ...failed, type: 'overdue', state: 'running', error: null }, ['job-overdue']],
  ['a job that succeeded', { ...failed, state: 'succeeded', error: null }, []],
  ['a job that was cancelled', { ...failed, state: 'cancelled' }, []],
  [
    'a rollback',
    { ...failed, job: { ...job, kind: 'rollback' }, state: 'succeeded', error: null, rolledBack: ['2_b'] },
    ['rollback-executed'],
  ],
  [
    'a rollback that failed half-way: two facts',
    { ...failed, job: { ...job, kind: 'rollback' }, rolledBack: ['2_b'] },
    ['job-failed', 'rollback-executed'],
  ],
  ['a rollback that failed at once', { ...failed, job: { ...job, kind: 'rollback' } }, ['job-failed']],
  [
    'a deployment that failed and was rolled back',
    { ...failed, rolledBack: ['2_b'] },
    ['job-failed', 'rollback-executed'],
  ],
])('%s is told of by one condition for each fact', (_, fact, expected) =>
  expect(told(fact)).toEqual(expected),
);

test('what is told names the database, the step and how long', () => {
  const texts = conditions.map((condition) =>
    condition.evaluate({ ...failed, type: 'overdue', state: 'running', error: null }),
  );
  expect(texts.join('')).toBe('The deployment of orders has been running for 400 s in step apply.');
});

test('every file in the folder is listed', () => {
  const files = readdirSync(path.join(import.meta.dirname, '../../src/alerts/conditions'));
  const names = files.filter((file) => file !== 'index.ts').map((file) => path.parse(file).name);
  expect(conditions.map((condition) => condition.name).toSorted()).toEqual(names.toSorted());
});

test.each<[string, Partial<JobFact>, string]>([
  ['a deployment', {}, 'The deployment of orders failed, and what it had applied was rolled back: 2_b, 1_a.'],
  [
    'a rollback that failed',
    { job: { ...job, kind: 'rollback' } },
    'Rolled back in orders: 2_b, 1_a. The rollback then failed.',
  ],
  [
    'a rollback that was cancelled',
    { job: { ...job, kind: 'rollback' }, state: 'cancelled' },
    'Rolled back in orders: 2_b, 1_a. The rollback then was cancelled.',
  ],
])('%s: what was rolled back is named', (_, fact, title) => {
  const condition = conditions.find(({ name }) => name === 'rollback-executed');
  expect(condition?.evaluate({ ...failed, rolledBack: ['2_b', '1_a'], ...fact })).toBe(title);
});
