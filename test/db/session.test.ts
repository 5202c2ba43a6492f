import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  openSession,
  refusePooler,
  refusePoolerUrl,
  type Session,
  withSession,
} from '../../src/db/session.ts';
import { parseTarget, type Target } from '../../src/db/target.ts';
import { hasPgbouncer, startPgbouncer } from '../support/pgbouncer.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';
import { waitFor } from '../support/wait.ts';

let database: TestDatabase;
let target: Target;
let session: Session;
beforeEach(async () => {
  database = await createDatabase();
  target = parseTarget(database.url);
  session = await openSession(target, { applicationName: 'test:session', doing: 'testing' });
});
afterEach(async () => {
  await session.close();
  await database.drop();
});

describe('a session', () => {
  test('knows its process, and is known by its name', async () => {
    const { rows } = await session.query(
      'select pid, application_name from pg_stat_activity where pid = pg_backend_pid()',
    );
    expect(rows).toEqual([{ pid: session.pid, application_name: 'test:session' }]);
  });

  test('lets the server notice that we are gone', async () => {
    expect((await session.query('show client_connection_check_interval')).rows).toEqual([
      { client_connection_check_interval: '2s' },
    ]);
  });

  test.each([
    ['select 1/0', 'STATEMENT_FAILED', '22012'],
    ['selct', 'STATEMENT_FAILED', '42601'],
    ["set statement_timeout = '10ms'; select pg_sleep(5)", 'STATEMENT_TIMEOUT', '57014'],
    ["do $$ begin raise sqlstate '40P01'; end $$", 'SERIALIZATION_FAILURE', '40P01'],
    ["do $$ begin raise sqlstate '55P03'; end $$", 'LOCK_TIMEOUT', '55P03'],
    ["do $$ begin raise sqlstate '42501'; end $$", 'PERMISSION_DENIED', '42501'],
  ])('%s is %s', async (sql, code, sqlstate) => {
    await expect(session.query(sql)).rejects.toMatchObject({ code, details: { sqlstate } });
  });

  test('keeps DETAIL out of the message', async () => {
    await session.query('create table people (ssn text unique); insert into people values ($$123-45$$)');
    const error = await session
      .query("insert into people values ('123-45')")
      .catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      message: expect.not.stringContaining('123-45') as string,
      details: { detail: expect.stringContaining('123-45') as string },
    });
  });

  test('ends its statement when it is cancelled', async () => {
    const running = session.query('select pg_sleep(60)').catch((error: unknown) => error);
    await waitFor(
      async () =>
        (
          await withSession(target, { applicationName: 'test' }, (other) =>
            other.query(
              "select from pg_stat_activity where application_name = 'test:session' and state = 'active'",
            ),
          )
        ).rowCount === 1,
      { what: 'the statement' },
    );
    await session.cancel();
    expect(await running).toMatchObject({ code: 'STATEMENT_TIMEOUT' });
  });

  test('says when its server is gone', async () => {
    const lost = session.whenLost();
    await withSession(target, { applicationName: 'test' }, (other) =>
      other.query('select pg_terminate_backend($1)', [session.pid]),
    );
    await lost;
    expect(session.alive).toBe(false);
    await expect(session.query('select 1')).rejects.toMatchObject({ code: 'DATABASE_UNREACHABLE' });
  });
});

test.each([
  ['a port where nobody listens', 'postgres://nobody:hunter2@127.0.0.1:1/orders', 'DATABASE_UNREACHABLE'],
  [
    'a host that does not exist',
    'postgres://nobody:hunter2@no.such.host.invalid/orders',
    'DATABASE_UNREACHABLE',
  ],
])('%s is a clear error without the password', async (_, url, code) => {
  const error = await openSession(parseTarget(url), { applicationName: 'test' }).catch(
    (thrown: unknown) => thrown,
  );
  expect(error).toMatchObject({ code });
  expect(JSON.stringify(error)).not.toContain('hunter2');
  expect(String(error)).not.toContain('hunter2');
});

test('a wrong password is not an outage', async () => {
  const url = new URL(database.url);
  url.password = 'wrong';
  await expect(openSession(parseTarget(url.href), { applicationName: 'test' })).rejects.toMatchObject({
    code: 'PERMISSION_DENIED',
  });
});

describe('refusePooler', () => {
  const check = (of: Target): Promise<void> =>
    withSession(of, { applicationName: 'test' }, (first) =>
      withSession(of, { applicationName: 'test' }, (second) => refusePooler(first, second)),
    );

  test('accepts a direct connection', () => check(target));

  test('believes a URL that says pgbouncer=true', () =>
    expect(() => refusePoolerUrl(parseTarget(`${database.url}?pgbouncer=true`))).toThrow(
      expect.objectContaining({
        code: 'DATABASE_POOLED',
        message: expect.stringContaining('directUrl') as string,
      }),
    ));

  test.runIf(hasPgbouncer).each([
    ['transaction', 'DATABASE_POOLED'],
    ['session', null],
  ] as const)('tells pgbouncer in %s mode apart', async (mode, code) => {
    const pooler = await startPgbouncer(mode);
    try {
      const checked = check(parseTarget(pooler.url(target.database)));
      await (code === null
        ? checked
        : expect(checked).rejects.toMatchObject({
            code,
            message: expect.stringContaining('directUrl') as string,
          }));
    } finally {
      await pooler.stop();
    }
  });
});
