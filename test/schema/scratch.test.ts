import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openSession, type Session } from '../../src/db/session.ts';
import { parseTarget, type Target } from '../../src/db/target.ts';
import { createScratch, jobOf, type Scratch, sweepScratches } from '../../src/schema/scratch.ts';
import { createDatabase, onShared, type TestDatabase } from '../support/postgres.ts';
import { execute } from './place.ts';

let database: TestDatabase;
let like: Target;
let made: Scratch[];

beforeEach(async () => {
  database = await createDatabase();
  like = parseTarget(database.url);
  made = [];
});
afterEach(async () => {
  for (const scratch of made) await scratch.drop();
  await database.drop();
});

const create = async (more: Partial<Parameters<typeof createScratch>[0]> = {}): Promise<Scratch> => {
  const scratch = await createScratch({ like, jobId: randomUUID(), applicationName: 'test', ...more });
  made.push(scratch);
  return scratch;
};

const factsOf = (name: string): Promise<Record<string, unknown> | undefined> =>
  onShared(async (client) => {
    const { rows } = await client.query<Record<string, unknown>>(
      `select pg_encoding_to_char(encoding) as encoding, datcollate, datctype, datlocprovider, daticulocale,
              pg_get_userbyid(datdba) as owner, shobj_description(oid, 'pg_database') as comment
         from pg_database where datname = $1`,
      [name],
    );
    return rows[0];
  });

describe('a scratch database', () => {
  test('is empty, ours, and says what it is for', async () => {
    const jobId = randomUUID();
    const scratch = await create({ jobId, now: () => new Date('2026-01-02T03:04:05Z') });
    expect(scratch.name).toMatch(/^switchback_scratch_[0-9a-f]{32}_[0-9a-f]{8}$/);
    expect(jobOf(scratch.name)).toBe(jobId);
    const facts = await factsOf(scratch.name);
    expect(facts).toMatchObject({ owner: like.user, encoding: 'UTF8', datcollate: 'C' });
    expect(JSON.parse(String(facts?.comment))).toEqual({
      job: jobId,
      created: '2026-01-02T03:04:05.000Z',
      by: 'switchback',
    });
    const session = await scratch.open();
    const { rows } = await session.query(
      "select current_database() as name, (select count(*)::int from pg_class where relnamespace = 'public'::regnamespace) as objects",
    );
    await session.close();
    expect(rows).toEqual([{ name: scratch.name, objects: 0 }]);
  });

  test('takes encoding, locale and the settings that matter from the database that it is like', async () => {
    const name = `test_${randomUUID().replaceAll('-', '')}`;
    await onShared(async (client) => {
      await client.query(
        `create database ${name} template template0 encoding 'UTF8' locale_provider icu icu_locale 'de' lc_collate 'C' lc_ctype 'C'`,
      );
      await client.query(`alter database ${name} set search_path to "Aa", public`);
      await client.query(`alter database ${name} set timezone to 'Asia/Tokyo'`);
      await client.query(`alter database ${name} set default_transaction_read_only to on`);
    });
    try {
      const url = new URL(database.url);
      url.pathname = `/${name}`;
      const scratch = await create({ like: parseTarget(url.href) });
      expect(await factsOf(scratch.name)).toMatchObject({ datlocprovider: 'i', daticulocale: 'de' });
      const session = await scratch.open();
      const { rows } = await session.query(
        "select current_setting('search_path') as path, current_setting('TimeZone') as zone, current_setting('transaction_read_only') as readonly",
      );
      await session.close();
      expect(rows).toEqual([{ path: '"Aa", public', zone: 'Asia/Tokyo', readonly: 'off' }]);
    } finally {
      for (const scratch of made.splice(0)) await scratch.drop();
      await onShared((client) => client.query(`drop database ${name} with (force)`));
    }
  });

  test('lets nobody else in', async () => {
    const role = `r_${randomUUID().slice(0, 8)}`;
    await execute(database.url, `create role ${role} login password 'x'`);
    try {
      const scratch = await create();
      const url = new URL(database.url);
      Object.assign(url, { username: role, password: 'x', pathname: `/${scratch.name}` });
      const client = new pg.Client({ connectionString: url.href });
      await expect(client.connect()).rejects.toThrow('permission denied for database');
    } finally {
      await execute(database.url, `drop role ${role}`);
    }
  });

  test('is dropped with whoever is in it, and once more without harm', async () => {
    const scratch = await create();
    const session = await scratch.open();
    await scratch.drop();
    await session.whenLost();
    expect(await factsOf(scratch.name)).toBeUndefined();
    await scratch.drop();
  });

  test('is not made by a role that may not, with what to do about it', async () => {
    const role = `r_${randomUUID().slice(0, 8)}`;
    await execute(database.url, `create role ${role} login password 'x'`);
    try {
      const url = new URL(database.url);
      Object.assign(url, { username: role, password: 'x' });
      await expect(create({ like: parseTarget(url.href) })).rejects.toMatchObject({
        code: 'SCRATCH_DENIED',
        message: expect.stringContaining(`ALTER ROLE "${role}" CREATEDB`),
        details: { role },
      });
    } finally {
      await execute(database.url, `drop role ${role}`);
    }
  });

  test('may be on another server than the database that it is like', async () => {
    const elsewhere = new URL(database.url);
    elsewhere.pathname = '/postgres';
    const scratch = await create({ server: parseTarget(elsewhere.href) });
    expect(scratch.target.display).toContain(scratch.name);
    expect(await factsOf(scratch.name)).toBeDefined();
  });
});

describe('sweeping', () => {
  let session: Session;
  beforeEach(async () => {
    session = await openSession(like, { applicationName: 'test' });
  });
  afterEach(() => session.close());

  test('drops what jobs left that are over, and nothing else', async () => {
    const [over, running] = [randomUUID(), randomUUID()];
    const [left, again, used] = [
      await create({ jobId: over }),
      await create({ jobId: over }),
      await create({ jobId: running }),
    ];
    const other = `switchback_scratch_of_somebody_${randomUUID().slice(0, 8)}`;
    await execute(database.url, `create database ${other}`);
    const asked: string[] = [];
    const swept = await sweepScratches(session, async (jobId) => {
      asked.push(jobId);
      return jobId === over;
    });
    try {
      expect(swept.left).toEqual([]);
      expect([...swept.dropped].sort()).toEqual([left.name, again.name].sort());
      expect(asked).toContain(running);
      expect(await factsOf(used.name)).toBeDefined();
      expect(await factsOf(other)).toBeDefined();
    } finally {
      await execute(database.url, `drop database ${other}`);
    }
  });

  test("says which of another role's it could not drop", async () => {
    const jobId = randomUUID();
    const scratch = await create({ jobId });
    const role = `r_${randomUUID().slice(0, 8)}`;
    await execute(database.url, `create role ${role} login password 'x'`);
    const url = new URL(database.url);
    Object.assign(url, { username: role, password: 'x' });
    const weak = await openSession(parseTarget(url.href), { applicationName: 'test' });
    try {
      const swept = await sweepScratches(weak, async (id) => id === jobId);
      expect(swept).toEqual({
        dropped: [],
        left: [{ name: scratch.name, reason: expect.stringContaining('must be owner of database') }],
      });
    } finally {
      await weak.close();
      await execute(database.url, `drop role ${role}`);
    }
  });
});
