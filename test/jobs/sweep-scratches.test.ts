import { afterEach, beforeEach, expect, test } from 'vitest';
import { parseTarget } from '../../src/db/target.ts';
import { enqueue } from '../../src/jobs/enqueue.ts';
import { driftCheck } from '../../src/jobs/kinds/drift-check.ts';
import { sweepAllScratches } from '../../src/jobs/rehearsals/sweep-scratches.ts';
import { createScratch } from '../../src/schema/scratch.ts';
import { rowsOf } from '../migrations/deploy.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';
import { openSwitchback, type TestSwitchback } from '../support/switchback.ts';

let target: TestDatabase;
let switchback: TestSwitchback;
let role: string;
/** Of the same server, by a role that owns nothing of the others. */
let weak: string;

beforeEach(async () => {
  target = await createDatabase();
  role = `maker_${target.name.slice(-12)}`;
  await rowsOf(target.url, `create role ${role} login createdb password 'maker'`);
  const url = new URL(target.url);
  url.username = role;
  url.password = 'maker';
  weak = url.href;
  const registered = { migrations: '/nowhere', policy: { backup: { never: 'tested elsewhere' } } };
  switchback = await openSwitchback({
    databases: [
      { name: 'first', url: target.url, ...registered },
      { name: 'second', url: weak, ...registered },
    ],
  });
});
afterEach(async () => {
  await switchback.close();
  await rowsOf(target.url, `drop role ${role}`);
  await target.drop();
});

/** A job with scratch databases of both roles. */
async function leave(): Promise<string> {
  const { jobId } = await enqueue(switchback.deps, {
    ...{ kind: driftCheck, database: 'first', payload: {}, requestedBy: 'ci' },
  });
  for (const by of [weak, target.url])
    await createScratch({ like: parseTarget(by), jobId, applicationName: 'test' });
  return jobId;
}
const left = (jobId: string) =>
  rowsOf(
    target.url,
    `select datname from pg_database where datname like 'switchback_scratch_${jobId.replaceAll('-', '')}%'`,
  );

test('what a job that is over has left is dropped, by the roles that own it', async () => {
  const jobId = await leave();
  await sweepAllScratches(switchback.deps);
  expect(await left(jobId)).toHaveLength(2);
  await switchback.deps.control.prisma.job.update({ where: { id: jobId }, data: { state: 'failed' } });
  await sweepAllScratches(switchback.deps);
  expect(await left(jobId)).toEqual([]);
});
