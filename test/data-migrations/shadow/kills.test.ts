/**
 * Workers are killed and the server crashes, at random and at each boundary, while an application writes; each exchange of the two
 * tables is complete or has not happened, and no write is lost. `SHADOW_KILLS=100` for the long run.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startServer, type TestDatabase, type TestServer } from '../../support/postgres.ts';
import { waitFor } from '../../support/wait.ts';
import { sql, value, withClient } from '../migrate.ts';
import { Application, accounts, sumsSql } from './application.ts';

const kills = Number(process.env.SHADOW_KILLS ?? 6);

let server: TestServer;
beforeAll(async () => {
  server = await startServer(15, { deadlock_timeout: '100ms' });
});
afterAll(() => server.stop());

const body = {
  table: 'account',
  alter: 'alter column id type bigint, alter column balance type bigint',
  pace: { maxRows: 60, lockTimeoutMs: 300 },
  parallelism: 2,
};

/** What is done in one transaction after the other, by the command in whose midst the worker is killed; `late`: once all rows are copied. */
const boundaries = [
  { tag: 'CREATE SCHEMA', like: '%switchback_vault_shadow%', late: false },
  { tag: 'ALTER TABLE', like: '%rename to table_%', late: false },
  { tag: 'CREATE TRIGGER', like: '%switchback_mirror_insert%', late: false },
  { tag: 'CREATE TRIGGER', like: '%switchback_key%', late: false },
  { tag: 'DROP TRIGGER', like: '%switchback_key%', late: true },
  { tag: 'ALTER TABLE', like: '%rename to table_%', late: true },
  { tag: 'CREATE TRIGGER', like: '%mirror_back%', late: true },
  { tag: 'ALTER TABLE', like: '%validate constraint%', late: true },
];

/** Makes our own commands wait for whoever holds the lock 88. */
const waiting = ({ tag, like, late }: (typeof boundaries)[number]): string => `
  create function wait_here() returns event_trigger language plpgsql as $$
    begin
      if current_setting('application_name') not like 'switchback:%' or current_query() not ilike '${like}' then return; end if;
      if ${late} and not exists (select from switchback.data_migration where state = 'written') then return; end if;
      perform pg_advisory_xact_lock_shared(88);
    end $$;
  create event trigger wait_here on ddl_command_start when tag in ('${tag}') execute function wait_here()`;

const start = (args: readonly string[]): ChildProcess =>
  spawn(
    process.execPath,
    ['--import', 'tsx', new URL('./exchange-process.ts', import.meta.url).pathname, ...args],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );

/** Runs to its end; killed each time that `until` says so. @returns how often */
async function runAndKill(
  args: readonly string[],
  until: (n: number, child: ChildProcess) => Promise<'kill' | 'crash' | 'both' | 'let go on'>,
): Promise<number> {
  for (let killed = 0; ; killed += 1) {
    const child = start(args);
    let output = '';
    child.stdout?.on('data', (chunk) => (output += chunk));
    child.stderr?.on('data', (chunk) => (output += chunk));
    const exited = once(child, 'exit') as Promise<[number | null]>;
    const what = await until(killed, child);
    if (what === 'kill' || what === 'both') child.kill('SIGKILL');
    if (what === 'crash' || what === 'both') await server.restart('immediate');
    const [code] = await exited;
    if (code === 0) return killed;
    if (what === 'let go on') throw new Error(`the worker ended with ${code}: ${output}`);
  }
}

const randomly = async (
  n: number,
  child: ChildProcess,
  most: number,
): Promise<'kill' | 'crash' | 'both' | 'let go on'> => {
  if (n >= most) return 'let go on';
  const exited = once(child, 'exit');
  if (child.stdout !== null) await Promise.race([once(child.stdout, 'data'), exited]);
  // From when it has begun, and rather early than late: on a machine that idles it takes a fraction of what it does on a busy one.
  await Promise.race([pause(3_000 * Math.random() ** 3), exited]);
  return (['kill', 'kill', 'crash', 'both'] as const)[Math.floor(Math.random() * 4)] ?? 'kill';
};

async function expectWhole(database: TestDatabase, type: string, application: Application): Promise<void> {
  expect(application.errors).toEqual([]);
  expect(application.writes).toBeGreaterThan(0);
  const [sums] = await sql(database.url, sumsSql);
  expect(sums?.sum).toBe(sums?.ledger);
  expect(await value(database.url, 'select pg_typeof(max(id))::text from account')).toBe(type);
  expect(
    await sql(
      database.url,
      `select tgname::text as name from pg_trigger where tgrelid = 'account'::regclass and tgname like 'switchback%' and tgname not like '%mirror%'
       union all select nspname from pg_namespace where nspname like 'switchback_vault_shadow%'
       union all select conname from pg_constraint where not convalidated`,
    ),
  ).toEqual([]);
}

test.each(boundaries)('killed in $tag $like, late: $late', { timeout: 120_000 }, async (boundary) => {
  const database = await server.createDatabase();
  await sql(
    database.url,
    `${accounts}; create table entry (account int references account on delete cascade); insert into entry select id from account; ${waiting(boundary)}`,
  );
  const application = new Application(database.url, 2);
  application.start();
  const killed = await withClient(database.url, async (holder) => {
    await holder.query('select pg_advisory_lock(88)');
    return runAndKill(['swap', database.url, randomUUID(), JSON.stringify(body)], async (n, child) => {
      if (n > 0) return 'let go on';
      const seen = `select count(*) > 0 from pg_locks where locktype = 'advisory' and objid = 88 and not granted and database = (select oid from pg_database where datname = current_database())`;
      await waitFor(async () => child.exitCode !== null || (await value(database.url, seen)), {
        timeoutMs: 60_000,
        what: 'the boundary',
      });
      child.kill('SIGKILL');
      await holder.query('select pg_advisory_unlock(88)');
      return 'kill';
    });
  });
  await application.stop();
  expect(killed).toBe(1);
  await expectWhole(database, 'bigint', application);
  await database.drop();
});

test(`${kills} kills and crashes at random`, { timeout: 60_000 + kills * 20_000 }, async () => {
  for (let done = 0, round = 0; done < kills; round += 1) {
    const database = await server.createDatabase();
    await sql(database.url, accounts);
    const application = new Application(database.url, 3, true);
    application.start();
    const id = randomUUID();
    done += await runAndKill(['swap', database.url, id, JSON.stringify(body)], (n, child) =>
      randomly(n, child, 4),
    );
    done += await runAndKill(['undo', database.url, id], (n, child) => randomly(n, child, 2));
    await application.stop();
    await expectWhole(database, 'integer', application);
    await database.drop();
    // All of them may come after the end.
    if (round > 10 + kills) throw new Error(`only ${done} kills`);
  }
});
