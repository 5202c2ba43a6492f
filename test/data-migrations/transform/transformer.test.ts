import { appendFile } from 'node:fs/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Given, openPlace, type Place } from './place.ts';

let place: Place;
beforeAll(async () => {
  place = await openPlace(
    `create table person (id bigint primary key, name text, age integer, doc jsonb);
     insert into person select n, 'name ' || n, n % 90, '{"n": 1}' from generate_series(1, 20000) n;
     create table copied (id bigint primary key, name varchar(20) check (name <> 'forbidden'), age smallint)`,
  );
});
beforeEach(() => place.target.query('truncate copied'));
afterAll(() => place.close());

const given = (module: string, more: Partial<Given> = {}): Given => ({
  module,
  read: 'select id, name, age, doc from person order by id',
  into: 'copied',
  columns: ['id', 'name', 'age'],
  ...more,
});
const few = 'copy (select id, name, age, doc from person where id <= 5 order by id) to stdout';

async function copied(): Promise<number> {
  const { rows } = await place.source.query<{ count: number }>(
    'select count(*)::integer as count from copied',
  );
  return rows[0]?.count ?? -1;
}

describe('rows', () => {
  test('go through the module in several threads and arrive in their order', async () => {
    await place.withTransform(
      given(
        `export default async (rows, { suffix }) => {
          await new Promise((resolve) => setTimeout(resolve, Math.random() * 20));
          for (const row of rows) row.name = row.name.toUpperCase() + suffix;
          return rows;
        }`,
        { context: { suffix: '!' } },
      ),
      async (run) => {
        const outcome = await run();
        expect(outcome).toMatchObject({ read: 20_000, written: 20_000, lastKey: ['20000'], faults: [] });
        expect(outcome.bytesWritten).toBeLessThan(outcome.bytesRead);
      },
    );
    const { rows } = await place.source.query(
      `select count(*)::integer as rows, count(*) filter (where copied.name = upper(person.name) || '!')::integer as right,
              bool_and(place > before) as ordered
         from (select copied.*, copied.ctid as place, lag(ctid) over (order by id) as before from copied) copied join person using (id)`,
    );
    expect(rows).toEqual([{ rows: 20_000, right: 20_000, ordered: true }]);
  });

  test('have JavaScript types, and nothing of what is hidden, which is written as it was read', async () => {
    await place.target.query('create table shown (id bigint, name text, version text)');
    const module = `export default (rows) => rows.map((row) => ({
      ...row,
      name: Object.entries(row).map(([name, value]) => name + ' ' + typeof value).join() + (row.doc.n + 1),
    }));`;
    await place.withTransform(
      {
        module,
        read: 'select id, age, doc, xmin::text as version from person where id = 1',
        into: 'shown',
        columns: ['version', 'id', 'name'],
        hidden: ['version'],
      },
      (run) => run(),
    );
    const { rows } = await place.source.query(
      'select shown.name, version = person.xmin::text as same from shown join person using (id)',
    );
    expect(rows).toEqual([{ name: 'id bigint,age number,doc object2', same: true }]);
  });

  test('of no batch: nothing is called and nothing written', async () => {
    await place.withTransform(given('export default () => { throw new Error("called"); };'), async (run) =>
      expect(await run({ read: 'copy (select * from person where false) to stdout' })).toEqual({
        read: 0,
        written: 0,
        bytesRead: 0,
        bytesWritten: 0,
        lastKey: null,
        faults: [],
      }),
    );
  });

  test('are read and written by one session, which holds their locks', async () => {
    await place.withTransform(given('export default (rows) => rows;'), async (run) => {
      const outcome = await run({
        source: place.target,
        read: 'copy (select id, name, age, doc from person order by id for update) to stdout',
      });
      expect(outcome.written).toBe(20_000);
    });
  });

  test('of several batches at once stay apart', async () => {
    await place.withTransform(
      given('export default (rows) => rows;', { limits: { threads: 2 } }),
      async (run) => {
        const batch = (from: number, session: Place['source']) =>
          run({
            source: session,
            target: session,
            read: `copy (select id, name, age, doc from person where id > ${from} and id <= ${from + 10_000}) to stdout`,
          });
        const outcomes = await Promise.all([batch(0, place.source), batch(10_000, place.target)]);
        expect(outcomes.map(({ written }) => written)).toEqual([10_000, 10_000]);
        expect(await copied()).toBe(20_000);
      },
    );
  });
});

describe('a row at fault', () => {
  const faults: readonly [string, string, object][] = [
    [
      'a module that throws',
      'if (row.id === 12345n) throw new TypeError("no such name");',
      {
        code: 'TRANSFORM_FAILED',
        message: expect.stringContaining('threw TypeError: no such name: row 12345 of batch 7'),
      },
    ],
    ['another key', 'if (row.id === 12345n) row.id = 1n;', { code: 'TRANSFORM_FAILED' }],
    [
      'a missing value',
      'if (row.id === 12345n) delete row.age;',
      { code: 'TRANSFORM_VALUE_REFUSED', details: { column: 'age' } },
    ],
    [
      'a value of another type',
      'if (row.id === 12345n) row.age = "old";',
      {
        code: 'TRANSFORM_VALUE_REFUSED',
        message: expect.stringContaining('column "age" (smallint) takes a whole number, and got string'),
      },
    ],
    [
      'a value out of range',
      'if (row.id === 12345n) row.age = 40000;',
      { code: 'TRANSFORM_VALUE_REFUSED', details: { column: 'age' } },
    ],
    [
      'text that PostgreSQL cannot hold',
      'if (row.id === 12345n) row.name = "a\\0b";',
      { code: 'TRANSFORM_VALUE_REFUSED', details: { column: 'name' } },
    ],
  ];
  test.each(faults)('by %s is named', async (_, statement, expected) => {
    await place.withTransform(
      given(`export default (rows) => { for (const row of rows) { ${statement} } return rows; };`),
      async (run) => {
        const { message, ...recorded } = expected as { message?: unknown };
        await expect(run()).rejects.toMatchObject(expected);
        await expect(run()).rejects.toMatchObject({
          details: { module: expect.any(String), batch: 'batch 7', row: 12_344 },
        });
        expect(await copied()).toBe(0);
        expect(await run({ tolerated: 1 })).toMatchObject({
          read: 20_000,
          written: 19_999,
          faults: [
            {
              row: 12_344,
              key: ['12345'],
              error: message === undefined ? recorded : { ...recorded, detail: message },
            },
          ],
        });
        expect(await copied()).toBe(19_999);
      },
    );
  });

  test('by too few or too many rows is found, as far as it can be', async () => {
    await place.withTransform(
      given('export default (rows) => rows.filter(({ id }) => id !== 77n && id !== 3000n);'),
      async (run) => {
        await expect(run()).rejects.toMatchObject({
          code: 'TRANSFORM_FAILED',
          message: expect.stringContaining('returned 0 rows for 1 row: row 77 of'),
        });
        expect((await run({ tolerated: 5 })).faults.map(({ key }) => key)).toEqual([['77'], ['3000']]);
      },
    );
    await place.target.query('truncate copied');
    await place.withTransform(given('export default (rows) => [...rows, ...rows];'), async (run) => {
      await expect(run({ tolerated: 10 })).rejects.toMatchObject({
        code: 'TRANSFORM_FAILED',
        details: { row: 10 },
      });
      expect(await copied()).toBe(0);
    });
    await place.withTransform(given('export default () => {};'), (run) =>
      expect(run()).rejects.toMatchObject({ message: expect.stringContaining('returned no array of rows') }),
    );
    await place.withTransform(given('export default (rows) => rows.reverse();'), (run) =>
      expect(run({ read: few })).rejects.toMatchObject({ message: expect.stringContaining('another key') }),
    );
  });

  test('that PostgreSQL refuses is named by its place among those that were read', async () => {
    const module = `export default (rows) => {
      for (const row of rows) {
        if (row.id === 100n) row.age = NaN;
        if (row.id === 15000n) row.name = 'a name that is longer than the column';
      }
      return rows;
    };`;
    await place.withTransform(given(module), async (run) => {
      await expect(run({ tolerated: 1 })).rejects.toMatchObject({
        code: 'STATEMENT_FAILED',
        details: { sqlstate: '22001', row: 14_999, batch: 'batch 7' },
      });
      expect(await copied()).toBe(0);
    });
  });

  test('shows no value outside of what is kept from logs', async () => {
    await place.withTransform(
      given('export default (rows) => rows.map((row) => ({ ...row, age: row.name }));'),
      async (run) => {
        const error = await run({ read: few }).catch(
          (thrown: Error & { details: Record<string, unknown> }) => thrown,
        );
        const { detail, ...shown } = (error as { details: Record<string, unknown> }).details;
        expect(detail).toBe('Key: 1');
        expect(JSON.stringify([shown, (error as Error).message])).not.toContain('name 1');
      },
    );
  });
});

describe('a module', () => {
  test('that never returns is ended, whether it waits or loops; the next batch gets another thread', async () => {
    const module = `export default (rows, context) => {
      if (rows[0].name === 'name 1') { if (context.wait) return new Promise(() => {}); for (;;); }
      return rows;
    };`;
    for (const wait of [true, false]) {
      await place.target.query('truncate copied');
      await place.withTransform(
        given(module, { context: { wait }, limits: { callMs: 200 } }),
        async (run) => {
          await expect(run({ read: few })).rejects.toMatchObject({
            code: 'TRANSFORM_TIMEOUT',
            message: expect.stringContaining('rows 1 to 5 of batch 7'),
            details: { batch: 'batch 7', firstRow: 0, rows: 5 },
          });
          expect(await run({ read: few.replace('<= 5', '= 6') })).toMatchObject({ written: 1 });
        },
      );
    }
  });

  test('that eats memory is ended', async () => {
    const heap =
      'export default () => { const all = []; for (;;) all.push(new Array(1000).fill(all.length)); };';
    await place.withTransform(given(heap, { limits: { memoryMb: 32 } }), (run) =>
      expect(run({ read: few })).rejects.toMatchObject({
        code: 'TRANSFORM_OUT_OF_MEMORY',
        details: { memoryMb: 32 },
      }),
    );
    const buffers = `export default async () => {
      for (const all = []; ; await null) all.push(Buffer.alloc(4_000_000, 1));
    };`;
    await place.withTransform(given(buffers, { limits: { memoryMb: 32, threads: 1 } }), (run) =>
      expect(run({ read: few })).rejects.toMatchObject({ code: 'TRANSFORM_OUT_OF_MEMORY' }),
    );
  });

  test('that ends its thread, or breaks down behind our back, fails its batch only', async () => {
    const module = `export default (rows) => {
      if (rows[0].name === 'name 1') process.exit(0);
      if (rows[0].name === 'name 2') { setTimeout(() => { throw new Error('late'); }); return new Promise(() => {}); }
      return rows;
    };`;
    await place.withTransform(given(module), async (run) => {
      await expect(run({ read: few })).rejects.toMatchObject({
        code: 'TRANSFORM_FAILED',
        message: expect.stringContaining('ended its thread'),
      });
      await expect(run({ read: few.replace('<= 5', '= 2') })).rejects.toMatchObject({
        code: 'TRANSFORM_FAILED',
        message: expect.stringContaining('broke down outside of a call: late'),
      });
      expect(await run({ read: few.replace('<= 5', '= 6') })).toMatchObject({ written: 1 });
    });
  });

  test('sees nothing of our environment, and prints nowhere', async () => {
    process.env.SWITCHBACK_TEST_SECRET = 'hidden';
    const module = `export default (rows) => {
      console.log('printed by a transform'); console.error('printed by a transform');
      return rows.map((row) => ({ ...row, name: JSON.stringify(process.env).slice(0, 20), age: process.argv.length }));
    };`;
    const printed: unknown[] = [];
    const writes = [process.stdout, process.stderr].map((stream) => [stream, stream.write] as const);
    for (const [stream] of writes) stream.write = (text: unknown) => printed.push(text) > 0;
    try {
      await place.withTransform(given(module), (run) => run({ read: few }));
    } finally {
      for (const [stream, write] of writes) stream.write = write;
      delete process.env.SWITCHBACK_TEST_SECRET;
    }
    expect(String(printed)).not.toContain('printed by a transform');
    const { rows } = await place.source.query('select distinct name from copied');
    expect(rows).toEqual([{ name: '{}' }]);
  });

  test('that was changed meanwhile is refused by every further thread', async () => {
    const module = `export default (rows) => { if (rows[0].name === 'name 1') process.exit(0); return rows; };`;
    await place.withTransform(given(module), async (run, file) => {
      expect(await run({ read: few.replace('<= 5', '= 6') })).toMatchObject({ written: 1 });
      await appendFile(file, '// changed');
      await expect(run({ read: few })).rejects.toMatchObject({ code: 'TRANSFORM_FAILED' });
      await expect(run({ read: few.replace('<= 5', '= 7') })).rejects.toMatchObject({
        code: 'TRANSFORM_CHANGED',
      });
    });
  });

  test('that cannot be used is refused before a row is read', async () => {
    const unusable = { code: 'TRANSFORM_UNUSABLE' };
    const never = () => Promise.reject(new Error('it was opened'));
    await expect(place.withTransform(given('export const name = 1;'), never)).rejects.toMatchObject(unusable);
    await expect(place.withTransform(given('export default 1 +;'), never)).rejects.toMatchObject(unusable);
    await expect(place.withTransform(given('throw new Error("at once");'), never)).rejects.toMatchObject({
      ...unusable,
      message: expect.stringContaining('at once'),
    });
  });
});

describe('a batch', () => {
  test('whose statements PostgreSQL refuses leaves sessions of use', async () => {
    await place.withTransform(given('export default (rows) => rows;'), async (run) => {
      await expect(run({ write: 'copy nowhere from stdin' })).rejects.toMatchObject({
        details: { sqlstate: '42P01' },
      });
      await expect(
        run({ read: 'copy (select id / 0, name, age, doc from person) to stdout' }),
      ).rejects.toMatchObject({ details: { sqlstate: '22012' } });
      expect(await run()).toMatchObject({ written: 20_000 });
    });
  });

  test('that is cancelled stops with the reason', async () => {
    const cancelling = new AbortController();
    const reason = new Error('enough');
    await place.withTransform(given('export default (rows) => rows;'), async (run) => {
      cancelling.abort(reason);
      await expect(run({ signal: cancelling.signal })).rejects.toBe(reason);
      expect(await run({ read: few })).toMatchObject({ written: 5 });
    });
  });

  test('of more bytes than are held is refused where all must be read first; a row of them always', async () => {
    const large = (rows: number, length: number) =>
      `copy (select n as id, repeat('x', ${length}) as name, 1 as age, null as doc from generate_series(1, ${rows}) n) to stdout`;
    await place.withTransform(
      given('export default (rows) => rows.map((row) => ({ ...row, name: "short" }));'),
      async (run) => {
        expect(await run({ read: large(70, 1_000_000) })).toMatchObject({ written: 70 });
        await place.target.query('truncate copied');
        await expect(run({ read: large(70, 1_000_000), source: place.target })).rejects.toMatchObject({
          code: 'BATCH_TOO_LARGE',
        });
        await expect(run({ read: large(1, 70_000_000) })).rejects.toMatchObject({ code: 'BATCH_TOO_LARGE' });
        expect(await copied()).toBe(0);
      },
    );
  });
});
