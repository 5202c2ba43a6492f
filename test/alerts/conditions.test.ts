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
const failed: JobFact = { type: 'finished', job, state: 'failed', error, runningMs: 400_000 };
const told = (fact: JobFact): string[] =>
  conditions.flatMap((condition) => (condition.evaluate(fact) === null ? [] : [condition.name]));

test.each<[string, JobFact, string[]]>([
  ['a job that failed', failed, ['job-failed']],
  ['the backup before a deployment', { ...failed, job: { ...job, step: 'backup' } }, ['backup-failed']],
  ['a backup', { ...failed, job: { ...job, kind: 'backup', step: 'dump' } }, ['backup-failed']],
  ['a job that is overdue', { ...failed, type: 'overdue', state: 'running', error: null }, ['job-overdue']],
  ['a job that succeeded', { ...failed, state: 'succeeded', error: null }, []],
  ['a job that was cancelled', { ...failed, state: 'cancelled' }, []],
])('%s is told of by one condition at most', (_, fact, expected) => expect(told(fact)).toEqual(expected));

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
