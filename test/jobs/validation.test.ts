import { afterAll, beforeAll, expect, test } from 'vitest';
import { withSession } from '../../src/db/session.ts';
import { parseTarget } from '../../src/db/target.ts';
import { cancelJob } from '../../src/jobs/jobs.ts';
import { type ValidationPayload, validation } from '../../src/jobs/kinds/validation.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';
import { openSwitchback, type TestSwitchback } from '../support/switchback.ts';
import { waitFor } from '../support/wait.ts';
import { openWorkshop, quick, type Workshop } from './workshop.ts';

let old: TestDatabase;
let fresh: TestDatabase;
let switchback: TestSwitchback;
let workshop: Workshop;

const run = (database: TestDatabase, sql: string) =>
  withSession(parseTarget(database.url), { applicationName: 'test' }, (session) => session.query(sql));

beforeAll(async () => {
  old = await createDatabase();
  fresh = await createDatabase();
  for (const database of [old, fresh])
    await run(
      database,
      "create table item (id int primary key, name text); insert into item select n, 'secret ' || n from generate_series(1, 300) n",
    );
  const registered = (name: string, { url }: TestDatabase, policy: object = {}) => ({
    name,
    url,
    migrations: 'none',
    policy: { backup: { never: 'a test database' }, ...policy },
  });
  switchback = await openSwitchback({
    databases: [
      registered('old', old),
      registered('fresh', fresh),
      registered('quiet', old, { validation: { values: 'redacted' } }),
    ],
  });
  workshop = openWorkshop(switchback);
  await workshop.work({ ...quick, kinds: [validation] });
});
afterAll(async () => {
  await workshop.close();
  await switchback.close();
  await old.drop();
  await fresh.drop();
});

const ask = (source: Partial<ValidationPayload['source']> = {}, more: object = {}): Promise<string> => {
  const payload = {
    source: { database: 'old', table: 'item', ...source },
    target: { database: 'fresh', table: 'item' },
    pauseMs: 0,
    ...more,
  };
  return workshop.ask(validation, validation.payload.parse(payload), 'fresh');
};
const recordOf = (jobId: string) =>
  switchback.deps.control.prisma.validation.findUniqueOrThrow({ where: { jobId } });

test('a validation that finds nothing succeeds, with its figures', async () => {
  const jobId = await ask();
  const job = await workshop.finished(jobId);
  const record = await recordOf(jobId);
  expect(job).toMatchObject({
    state: 'succeeded',
    percent: 100,
    result: { validationId: record.id, same: true, rows: { source: 300, target: 300 } },
  });
  expect(record).toMatchObject({ database: 'fresh', sourceDatabase: 'old', outcome: { same: true } });
  const events = await workshop.eventsOf(jobId);
  const finished = events
    .filter(({ type }) => type === 'step-finished')
    .map(({ body }) => (body as { step: string }).step);
  expect(finished).toEqual(['prepare', 'compare', 'locate', 'compareAgain']);
  expect(events.some(({ type }) => type === 'progress')).toBe(true);
});

test('one that finds differences fails, naming them; values stand in the record only', async () => {
  await run(
    fresh,
    "begin; update item set name = 'other' where id = 7; delete from item where id = 9; commit",
  );
  const jobId = await ask();
  const job = await workshop.finished(jobId);
  const record = await recordOf(jobId);
  expect(job).toMatchObject({
    state: 'failed',
    error: {
      code: 'DATA_DIFFERS',
      detail: expect.stringContaining('of 300 rows 1 missing, 1 changed'),
      details: { validation: record.id, total: 2, missing: 1, changed: 1, extra: 0 },
    },
  });
  expect((job.error as { details: { listed: object[] } }).details.listed).toEqual(
    expect.arrayContaining([
      { kind: 'changed', key: { id: '7' }, columns: ['name'] },
      { kind: 'missing', key: { id: '9' }, columns: [] },
    ]),
  );
  expect(JSON.stringify(await workshop.eventsOf(jobId))).not.toContain('secret');
  expect(JSON.stringify(record.outcome)).toContain('secret 7');

  const redacted = await ask({ database: 'quiet' });
  expect(await workshop.finished(redacted)).toMatchObject({
    state: 'failed',
    error: { code: 'DATA_DIFFERS' },
  });
  const quiet = JSON.stringify((await recordOf(redacted)).outcome);
  expect(quiet).toContain('"changed"');
  expect(quiet).not.toMatch(/secret|other/);
});

test('one that cannot compare fails with what is wrong', async () => {
  expect(await workshop.finished(await ask({ table: 'nothing' }))).toMatchObject({
    state: 'failed',
    error: { code: 'TABLE_NOT_FOUND', details: { database: 'old', table: 'nothing' } },
  });
});

test('one that is cancelled leaves no statement behind', async () => {
  const jobId = await ask({ where: 'pg_sleep(60) is not null' });
  const sleeping = async () =>
    (
      await run(
        old,
        "select from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'",
      )
    ).rowCount;
  await waitFor(async () => (await sleeping()) === 1);
  await cancelJob(switchback.deps.control, jobId, 'ci');
  expect(await workshop.finished(jobId)).toMatchObject({ state: 'cancelled' });
  await waitFor(async () => (await sleeping()) === 0);
});
