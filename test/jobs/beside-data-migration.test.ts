/** What is asked of a database while a data migration goes through one of its tables. */
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { dumpArguments } from '../../src/backups/create.ts';
import { programDirectories } from '../../src/config.ts';
import { cancelDataMigration, changeControl } from '../../src/data-migrations/control.ts';
import { findPrograms } from '../../src/db/programs.ts';
import { parseTarget } from '../../src/db/target.ts';
import { driftCheck } from '../../src/jobs/kinds/drift-check.ts';
import { type RunningWorker, startWorker } from '../../src/jobs/worker.ts';
import { type DeployPlace, openDeployPlace } from '../acceptance/deploy-place.ts';
import { Gate, migrate, thrownBy, value } from '../data-migrations/migrate.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';
import { waitFor } from '../support/wait.ts';

const quick = { heartbeatMs: 200, staleMs: 5_000, repairMs: 200 };
const users = { '1_users': 'create table users (id int primary key, name text, age int);' };
const rename = { table: 'users', kind: 'backfill', set: { name: "'user ' || id" } };

let target: TestDatabase;
let place: DeployPlace;
let worker: RunningWorker;
beforeEach(async () => {
  target = await createDatabase();
  place = await openDeployPlace(target.url, {
    policy: { backup: { never: 'tested elsewhere' }, rehearsal: 'required' },
  });
  worker = await startWorker(place.switchback.deps, quick);
  place.write(users);
  expect(await place.finished(await place.deploy())).toMatchObject({ state: 'succeeded', error: null });
  await place.query('insert into public.users select n from generate_series(1, 100) n');
});
afterEach(async () => {
  await worker.stop();
  await place.close();
  await target.drop();
});

const triggers = (url: string, table: string): Promise<unknown> =>
  value(url, `select count(*)::int from pg_trigger where tgrelid = '${table}'::regclass`);

/** Begins one, and holds it before its second batch. */
async function begun(): Promise<{ id: string; end: () => Promise<unknown> }> {
  const id = randomUUID();
  const stop = new AbortController();
  const body = { ...rename, pace: { maxRows: 10 } };
  const running = thrownBy(migrate(target.url, body, { id, throttle: new Gate(1), signal: stop.signal }));
  await waitFor(() => value(target.url, "select count(*)::int from public.users where name like 'user %'"), {
    until: (rows) => rows === 10,
  });
  return {
    id,
    async end() {
      stop.abort();
      return running;
    },
  };
}

async function deployAndCheck(): Promise<void> {
  expect(await triggers(target.url, 'public.users')).toBe(2);
  expect(await place.finished(await place.ask(driftCheck, {}))).toMatchObject({
    error: null,
    result: { drifted: false, differences: [] },
  });
  // What is generated for it has to leave the triggers alone, and is tried on a copy without them.
  place.write({ '2_more': 'alter table users add column note text; create index on users (age);' });
  const job = await place.finished(await place.deploy());
  expect(job).toMatchObject({ state: 'succeeded', error: null });
  const way = await place.switchback.deps.control.prisma.wayBack.findFirst({ where: { jobId: job.id } });
  expect(way).toMatchObject({ outcome: 'proven', provenOn: 'generated rows', compared: { leftOut: [] } });
}

describe('beside a data migration', { timeout: 120_000 }, () => {
  test('that runs there is no drift, and a deployment is rehearsed', async () => {
    const { end } = await begun();
    try {
      await deployAndCheck();
    } finally {
      await end();
    }
  });

  test('that is paused neither; a backup is restored whole, and there it can be cancelled', async () => {
    const { id, end } = await begun();
    await changeControl(parseTarget(target.url), id, { paused: true });
    await end();
    await deployAndCheck();
    const { directory } = await findPrograms({ searchPath: programDirectories() }, 15);
    const restored = await createDatabase();
    try {
      const env = (url: string) => ({ env: { ...parseTarget(url).libpqEnvironment } });
      const dump = execFileSync(`${directory}/pg_dump`, dumpArguments(10), env(target.url));
      // Oids are others there: the tables are not those of the same numbers.
      await value(restored.url, 'create table public.other (id int primary key)');
      execFileSync(`${directory}/pg_restore`, ['--exit-on-error', `--dbname=${restored.name}`], {
        ...env(restored.url),
        input: dump,
      });
      expect(await triggers(restored.url, 'public.users')).toBe(2);
      const place = { source: parseTarget(restored.url), written: null };
      await cancelDataMigration(place, id, new AbortController().signal);
      expect(await triggers(restored.url, 'public.users')).toBe(0);
      expect(
        await value(restored.url, 'update public.users set id = 1000 where id = 100 returning name'),
      ).toBeNull();
    } finally {
      await restored.drop();
    }
  });
});
