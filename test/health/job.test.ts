import { afterEach, expect, test } from 'vitest';
import { healthCheck } from '../../src/jobs/kinds/health-check.ts';
import { openWorkplace, type Workplace } from '../backups/workplace.ts';
import { createDatabase } from '../support/postgres.ts';

let database: Awaited<ReturnType<typeof createDatabase>>;
let workplace: Workplace;
afterEach(async () => {
  await workplace.close();
  await database.drop();
});

test('a health check job succeeds whatever it finds, and its record has the outcome', async () => {
  database = await createDatabase();
  workplace = await openWorkplace({ orders: database.url, gone: 'postgres://nobody@127.0.0.1:1/gone' });
  const job = await workplace.work(healthCheck, {}, null);
  expect(job).toMatchObject({ state: 'succeeded', queue: 'signals' });
  const record = await workplace.deps.control.prisma.healthCheck.findUniqueOrThrow({
    where: { jobId: job.id },
  });
  expect(record.finishedAt).not.toBeNull();
  expect(record.outcome).toEqual(job.result);
  expect(record.outcome).toMatchObject({
    status: 'fail',
    checks: {
      'gone:connection': [{ status: 'fail' }],
      'orders:connection': [{ status: 'pass' }],
      'switchback:control-database': [{ status: 'pass' }],
      'switchback:backlog': [{ status: 'pass', observedValue: 0 }],
      'switchback:queue': [{ status: 'pass' }],
    },
  });
});
