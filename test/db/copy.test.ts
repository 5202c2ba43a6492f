import { afterAll, beforeAll, expect, test } from 'vitest';
import { openSession, type Session } from '../../src/db/session.ts';
import { parseTarget } from '../../src/db/target.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';

let database: TestDatabase;
let source: Session;
let target: Session;
beforeAll(async () => {
  database = await createDatabase();
  const open = () => openSession(parseTarget(database.url), { applicationName: 'copy-test' });
  [source, target] = await Promise.all([open(), open()]);
});
afterAll(async () => {
  await source.close();
  await target.close();
  await database.drop();
});

const works = async (session: Session): Promise<boolean> => {
  const { rows } = await session.query<{ one: number }>('select 1 as one');
  return rows[0]?.one === 1;
};

async function readAll(sql: string): Promise<{ text: string; rows: number }> {
  const pieces: Buffer[] = [];
  let rows = 0;
  await source.copyOut(sql, (bytes, count) => {
    pieces.push(Buffer.from(bytes));
    rows += count;
  });
  return { text: Buffer.concat(pieces).toString(), rows };
}

test('gives every row, however rows and what arrives at once overlap', async () => {
  const sizes = [0, 1, 60_000, 65_530, 65_536, 3, 400_000, 7];
  const { text, rows } = await readAll(
    `copy (select repeat(chr(96 + n::integer), size) from unnest('{${sizes.join(',')}}'::integer[])
             with ordinality as row (size, n)) to stdout`,
  );
  expect(rows).toBe(sizes.length);
  const expected = sizes.map((size, index) => `${String.fromCharCode(97 + index).repeat(size)}\n`).join('');
  expect(text === expected).toBe(true);
  const many = await readAll('copy (select n from generate_series(1, 200000) n) to stdout');
  expect(many.rows).toBe(200_000);
  expect(many.text.split('\n').reduce((sum, line) => sum + Number(line), 0)).toBe((200_000 * 200_001) / 2);
});

test('reads no more before the sink is done', async () => {
  let working = 0;
  let most = 0;
  await source.copyOut(
    'copy (select repeat(n::text, 100) from generate_series(1, 20000) n) to stdout',
    async () => {
      working += 1;
      most = Math.max(most, working);
      await new Promise((resolve) => setImmediate(resolve));
      working -= 1;
    },
  );
  expect(most).toBe(1);
});

test('a notice and a failure in the middle reach whom they should; the session goes on', async () => {
  const notices: string[] = [];
  const stop = source.onNotice(({ message }) => notices.push(message));
  await source.query(
    `create function pg_temp.say(n integer) returns integer language plpgsql as
       $$ begin if n = 5000 then raise notice 'half way'; end if; return 1 / (9000 - n); end $$`,
  );
  await expect(
    source.copyOut(
      'copy (select pg_temp.say(n) from generate_series(1, 10000) n) to stdout',
      () => undefined,
    ),
  ).rejects.toMatchObject({ code: 'STATEMENT_FAILED', details: { sqlstate: '22012' } });
  stop();
  expect(notices).toEqual(['half way']);
  expect(await works(source)).toBe(true);
  await expect(source.copyOut('copy nowhere to stdout', () => undefined)).rejects.toMatchObject({
    details: { sqlstate: '42P01' },
  });
  expect(await works(source)).toBe(true);
});

test('a sink that throws is called no more, and its error is thrown', async () => {
  const broken = new Error('enough');
  let calls = 0;
  const sql = 'copy (select n from generate_series(1, 100000) n) to stdout';
  await expect(
    source.copyOut(sql, () => {
      calls += 1;
      throw broken;
    }),
  ).rejects.toBe(broken);
  await expect(source.copyOut(sql, () => Promise.reject(broken))).rejects.toBe(broken);
  expect(calls).toBe(1);
  expect(await works(source)).toBe(true);
});

test('a connection that breaks while rows are read is said so', async () => {
  const doomed = await openSession(parseTarget(database.url), { applicationName: 'copy-test' });
  const reading = doomed.copyOut('copy (select n from generate_series(1, 5000000) n) to stdout', async () => {
    await source.query('select pg_terminate_backend($1)', [doomed.pid]);
  });
  await expect(reading).rejects.toMatchObject({ code: 'DATABASE_UNREACHABLE' });
});

test('what is written is there, and what is refused or abandoned is not', async () => {
  await target.query('create table number (n integer primary key)');
  const copy = await target.copyIn('copy number from stdin');
  await copy.write(Buffer.from('1\n2'));
  await copy.write(Buffer.from('3\n'));
  expect(await copy.finish()).toBe(2);
  const twice = await target.copyIn('copy number from stdin');
  await twice.write(Buffer.from('1\n'));
  await expect(twice.finish()).rejects.toMatchObject({
    details: { sqlstate: '23505', constraint: 'number_pkey' },
  });
  await expect(twice.write(Buffer.from('4\n'))).rejects.toMatchObject({ details: { sqlstate: '23505' } });
  const abandoned = await target.copyIn('copy number from stdin');
  await abandoned.write(Buffer.from('5\n'));
  await abandoned.abandon('not wanted');
  await expect(target.copyIn('copy nowhere from stdin')).rejects.toMatchObject({
    details: { sqlstate: '42P01' },
  });
  const { rows } = await target.query<{ n: number }>('select n from number order by n');
  expect(rows.map(({ n }) => n)).toEqual([1, 23]);
});

test('writing meets its error also while it waits for room', async () => {
  await target.query('create table small (n integer check (n < 10))');
  const copy = await target.copyIn('copy small from stdin');
  const row = Buffer.from('11\n'.repeat(300_000));
  await expect(
    (async () => {
      for (let times = 0; times < 50; times += 1) await copy.write(row);
      await copy.finish();
    })(),
  ).rejects.toMatchObject({ details: { sqlstate: '23514' } });
  expect(await works(target)).toBe(true);
});

test('a connection that breaks while writing waits for room is said so', async () => {
  await source.query(
    `create table slow (text text);
     create function wait() returns trigger language plpgsql as
       $$ begin perform pg_advisory_lock(1); return new; end $$;
     create trigger wait before insert on slow for each row execute function wait();
     select pg_advisory_lock(1)`,
  );
  const doomed = await openSession(parseTarget(database.url), { applicationName: 'copy-test' });
  const copy = await doomed.copyIn('copy slow from stdin');
  // The server reads a message whole: what comes behind the first waits for it.
  await copy.write(Buffer.from('row\n'));
  const writing = expect(copy.write(Buffer.from('row\n'.repeat(8_000_000)))).rejects.toMatchObject({
    code: 'DATABASE_UNREACHABLE',
  });
  await source.query('select pg_terminate_backend($1)', [doomed.pid]);
  await writing;
  await source.query('select pg_advisory_unlock_all()');
});
