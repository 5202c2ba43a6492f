/**
 * Exactly once: workers are killed, the server crashes, the application writes, and at the end every row that was there at
 * the start was changed once and no other. `DATA_KILLS=200` for the long run, `DATA_SEED` to see one again.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type pg from 'pg';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { startServer, type TestServer } from '../support/postgres.ts';
import { waitFor } from '../support/wait.ts';
import { sql, value, withClient } from './migrate.ts';

const kills = Number(process.env.DATA_KILLS ?? 10);
const seed = Number(process.env.DATA_SEED ?? Math.floor(Math.random() * 2 ** 31));

/** Mulberry32: the same numbers for the same seed. */
function randomNumbers(state: number): () => number {
  let now = state;
  return () => {
    now = (now + 0x6d2b79f5) | 0;
    let mixed = Math.imul(now ^ (now >>> 15), 1 | now);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const random = randomNumbers(seed);
const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T;

/** Columns of a key, and a key from a number: the numbers of the rows that are there at the start are below 1,000,000. */
interface KeyShape {
  readonly columns: string;
  readonly key: string;
  readonly of: (n: string) => string;
}

const shapes: readonly KeyShape[] = [
  { columns: 'id bigint', key: 'id', of: (n) => `${n}` },
  { columns: 'id bigint', key: 'id', of: (n) => `('x' || substr(md5(${n}::text), 1, 15))::bit(60)::bigint` },
  { columns: 'id uuid', key: 'id', of: (n) => `md5(${n}::text)::uuid` },
  { columns: 'id text', key: 'id', of: (n) => `substr(md5(${n}::text), 1, 3) || ' ' || ${n}` },
  { columns: 'id text collate "C"', key: 'id', of: (n) => `chr(65 + ${n}::int % 50) || '-' || ${n}` },
  { columns: 'a int, "B b" text', key: 'a, "B b"', of: (n) => `${n}::int % 7, md5(${n}::text)` },
  { columns: 'a text, b uuid, c int', key: 'a, b, c', of: (n) => `'', md5(${n}::text)::uuid, ${n}::int % 3` },
  { columns: 'at timestamptz', key: 'at', of: (n) => `'2020-01-01Z'::timestamptz + ${n} * interval '1 ms'` },
  { columns: 'id numeric', key: 'id', of: (n) => `-${n} / 3.0` },
];

const rows = 6_000;
const spec = { name: 'kills', table: 'account', pace: { maxRows: 40, lockTimeoutMs: 200 } };
const kinds = {
  backfill: { kind: 'backfill', set: { balance: 'balance + 1' } },
  copy: { kind: 'copy', to: { table: 'account', database: 'other' }, columns: undefined },
  archive: { kind: 'archive', where: 'true', to: { table: 'account', database: 'other' } },
  transform: { kind: 'transform', module: 'add-one', writes: ['balance'] },
} as const;

let server: TestServer;
let transforms: string;
beforeAll(async () => {
  transforms = await mkdtemp(path.join(inject('runFolder'), 'transforms-'));
  await writeFile(
    path.join(transforms, 'add-one.mjs'),
    'export default (rows) => rows.map((row) => ({ ...row, balance: row.balance + 1 }))',
  );
  server = await startServer(15, { deadlock_timeout: '100ms' });
});
afterAll(() => server.stop());

/** The application: it writes as fast as it can, and comes back after an outage. */
class Application {
  readonly #url: string;
  readonly #shape: KeyShape;
  readonly #deletes: boolean;
  #stopped = false;
  /** What it inserts from now on was not there when the data migration began. */
  #later = false;
  #work: Promise<void> = Promise.resolve();
  writes = 0;

  constructor(url: string, shape: KeyShape, deletes: boolean) {
    this.#url = url;
    this.#shape = shape;
    this.#deletes = deletes;
  }

  start(): void {
    this.#work = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#work;
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      try {
        await withClient(this.#url, async (client) => {
          client.on('error', () => undefined);
          while (!this.#stopped) await this.#write(client);
        });
      } catch {
        // The server is away, or told it so.
        await pause(20);
      }
    }
  }

  async #write(client: pg.Client): Promise<void> {
    const { key, of } = this.#shape;
    const old = of(String(Math.floor(Math.random() * rows)));
    const added = of(String(1_000_000 + Math.floor(Math.random() * 1_000_000)));
    const where = `(${key}) = (${old})`;
    // The statement's snapshot is later than its lock on the table: it sees the triggers which fire for it.
    const later = this.#later ? 'true' : "exists (select from pg_trigger where tgname = 'switchback_later')";
    const insert = (what: string): string =>
      `insert into account (${key}, base, balance, later) select ${what}, 5, 5, ${later} on conflict do nothing returning later`;
    const writes = [
      `with up as (update account set balance = balance + 10, adds = adds + 1 where ${where} returning 1) update tally set adds = adds + (select count(*) from up)`,
      insert(added),
      ...(this.#deletes
        ? [
            `delete from account where ${where}`,
            `begin; delete from account where ${where}; ${insert(old)}; commit`,
          ]
        : []),
    ];
    this.writes += 1;
    try {
      const answer: pg.QueryResult | pg.QueryResult[] = await client.query(
        writes[Math.floor(Math.random() * writes.length)] as string,
      );
      const inserted = Array.isArray(answer) ? answer.flatMap((one) => one.rows) : answer.rows;
      this.#later ||= inserted.some((row) => row.later);
    } catch (error) {
      if ((error as pg.DatabaseError).code !== '40P01') throw error;
      await client.query('rollback');
    }
    if (Math.random() > 0.05) return;
    await client.query(`update account set ${key.split(', ')[0]} = ${key.split(', ')[0]} where ${where}`);
    const moved = await client
      .query(`update account set (${key}) = row(${of('5000000')}) where ${where} and later is false`)
      .catch((error: pg.DatabaseError) => {
        if (error.code !== '23001') throw error;
      });
    // Before the start and after the end keys may change; the row is put back.
    if (moved?.rowCount === 1)
      await client.query(`update account set (${key}) = row(${old}) where (${key}) = (${of('5000000')})`);
  }
}

/** Runs until it ends by itself; killed and started again at random. */
async function runAndKill(args: readonly string[], most: number): Promise<number> {
  let done = 0;
  let child: ChildProcess | null = null;
  const start = (): ChildProcess =>
    spawn(
      process.execPath,
      ['--import', 'tsx', new URL('./migrate-process.ts', import.meta.url).pathname, ...args],
      {
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
  for (;;) {
    const running = start();
    child = running;
    let output = '';
    running.stdout?.on('data', (chunk) => (output += chunk));
    running.stderr?.on('data', (chunk) => (output += chunk));
    const exited = once(running, 'exit') as Promise<[number | null, string | null]>;
    let crashed = false;
    while (done < most) {
      await progressed(args, Math.floor(random() * 30));
      if (child.exitCode !== null) break;
      done += 1;
      const how = random();
      if (how < 0.4) {
        await server.restart('immediate');
        continue;
      }
      crashed = true;
      running.kill('SIGKILL');
      if (how > 0.9) await server.restart('immediate');
      break;
    }
    const [code] = await exited;
    if (crashed) continue;
    if (code !== 0) throw new Error(`the worker ended with ${code}: ${output}`);
    return done;
  }
}

/** Waits for so many batches, or the end. */
async function progressed([url = '', id = '', , to = '']: readonly string[], batches: number): Promise<void> {
  const read = (): Promise<unknown> =>
    value(
      to === '' ? url : to,
      `select case when m.state = 'running' then (select coalesce(sum(batches), 0) from switchback.data_range where migration = m.id) else -1 end::int from switchback.data_migration m where id = '${id}'`,
    ).catch(() => null);
  const before = await waitFor(read, {
    until: (seen) => typeof seen === 'number',
    timeoutMs: 60_000,
    what: 'the first batch',
  });
  if (before === -1) return;
  await waitFor(read, {
    until: (seen) => seen === -1 || (typeof seen === 'number' && seen >= Number(before) + batches),
    timeoutMs: 60_000,
    what: 'progress',
  });
}

test(`each row once, through ${kills} kills (seed ${seed})`, {
  timeout: 120_000 + kills * 20_000,
}, async () => {
  let done = 0;
  for (let round = 0; done < kills || round < 4; round += 1) {
    const shape = pick(shapes);
    const name = (['backfill', 'transform', 'archive', 'copy'] as const)[round % 4] as keyof typeof kinds;
    const database = await server.createDatabase();
    const inPlace = name === 'backfill' || name === 'transform';
    const other = inPlace ? null : await server.createDatabase();
    const table = `create table account (${shape.columns}, base int not null, balance int not null, adds int not null default 0, later boolean not null default false, primary key (${shape.key}))`;
    await sql(
      database.url,
      `${table}; create table tally (adds bigint not null); insert into tally values (0);
      insert into account (${shape.key}, base, balance) select ${shape.of('n')}, n, n from generate_series(0, ${rows - 1}) n`,
    );
    if (other !== null) await sql(other.url, table);
    const application = new Application(database.url, shape, inPlace);
    application.start();
    const parallelism = pick([1, 2, 3]);
    const body = { ...spec, ...kinds[name], parallelism };
    const args = [database.url, randomUUID(), JSON.stringify(body), other?.url ?? '', transforms];
    const killed = await runAndKill(args, Math.min(5, Math.max(1, kills - done)));
    await application.stop();
    done += killed;
    const told = `round ${round}, ${name}, key ${shape.columns} of ${shape.of('n')}, parallelism ${parallelism}, seed ${seed}`;
    expect(application.writes, told).toBeGreaterThan(0);
    if (inPlace) await expectBackfilled(database.url, told);
    else await expectTransferred(database.url, other?.url ?? '', name, told);
    await database.drop();
    await other?.drop();
  }
});

async function expectBackfilled(url: string, told: string): Promise<void> {
  expect(
    await sql(
      url,
      `select count(*) filter (where balance <> base + 10 * adds + case when later then 0 else 1 end)::int as wrong, count(*) filter (where not later) > 0 as "hasOld", count(*) filter (where later) > 0 as "hasNew",
         (select count(*)::int from pg_trigger where tgname like 'switchback%') as triggers from account`,
    ),
    told,
  ).toEqual([{ wrong: 0, hasOld: true, hasNew: true, triggers: 0 }]);
}

async function expectTransferred(
  url: string,
  to: string,
  kind: 'copy' | 'archive',
  told: string,
): Promise<void> {
  const [there] = await sql(
    to,
    'select count(*)::int as rows, count(distinct base)::int as bases, count(*) filter (where later)::int as later, count(*) filter (where balance <> base + 10 * adds)::int as wrong, sum(adds)::int as adds from account',
  );
  expect(there, told).toMatchObject({ bases: rows, later: 0, wrong: 0 });
  const [here] = await sql(
    url,
    'select count(*) filter (where not later)::int as rows, coalesce(sum(adds), 0)::int as adds, (select adds::int from tally) as tally from account',
  );
  expect(here?.rows, told).toBe(kind === 'copy' ? there?.rows : 0);
  if (kind === 'copy') return;
  expect(Number(here?.adds) + Number(there?.adds), told).toBe(here?.tally);
}
