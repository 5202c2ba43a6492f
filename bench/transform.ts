import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describeColumns, prepareTransfer } from '../src/data-migrations/transform/columns.ts';
import { findModule } from '../src/data-migrations/transform/find-module.ts';
import type { Transformer } from '../src/data-migrations/transform/request.ts';
import { openTransformer } from '../src/data-migrations/transform/transformer.ts';
import { openSession, type Session } from '../src/db/session.ts';
import { parseTarget } from '../src/db/target.ts';
import { defineBench, fastest, type Measurement, time } from './define-bench.ts';
import { type Place, withPlace } from './place.ts';

const rows = Number(process.env.ROWS ?? 1_000_000);
const batchRows = 50_000;
const rounds = 3;
const columns = 'id, customer, status, mail, amount, quantity, paid, placed_at, note';
const select = `select ${columns} from source`;
const write = `copy target (${columns}) from stdin`;
const module = `export default (rows) => {
  for (const row of rows) {
    row.mail = row.mail.toLowerCase();
    row.quantity = row.paid ? row.quantity + 1 : 0;
  }
  return rows;
};`;

export const transform = defineBench({
  name: 'transform',
  summary: `${rows.toLocaleString('en')} rows of nine columns through a JavaScript module in batches of ${batchRows.toLocaleString('en')}, two of the columns changed; the fastest of ${rounds} rounds that take turns`,
  run: () =>
    withPlace(async (place) => {
      const url = await place.createDatabase();
      await fill(place, url);
      await writeFile(path.join(place.folder, 'change.mjs'), module);
      const sessions = await Promise.all([1, 2, 3, 4].map(() => open(url)));
      try {
        return await measure(place, sessions);
      } finally {
        await Promise.all(sessions.map((session) => session.close()));
      }
    }),
});

async function fill(place: Place, url: string): Promise<void> {
  await place.query(
    url,
    `create table source (id bigint primary key, customer uuid not null, status text not null, mail varchar(100),
       amount numeric(12,2) not null, quantity integer, paid boolean, placed_at timestamptz not null, note text);
     insert into source select n, md5(n::text)::uuid, (array['new', 'paid', 'sent'])[n % 3 + 1], 'User' || n || '@example.com',
       (n % 100000) / 100.0, n % 50, n % 3 = 0, timestamptz '2020-01-01' + n * interval '13.37 s', nullif(repeat('note ', n % 12), '')
       from generate_series(1, ${rows}) n;
     create table target (like source including all);
     create table cursor (range integer, done bigint)`,
  );
  await place.query(url, 'vacuum analyze source');
}

async function open(url: string): Promise<Session> {
  const session = await openSession(parseTarget(url), {
    applicationName: 'switchback:bench',
    doing: 'measuring',
  });
  await prepareTransfer(session);
  return session;
}

async function measure(place: Place, sessions: readonly Session[]): Promise<Measurement[]> {
  const [source, target, otherSource, otherTarget] = sessions as [Session, Session, Session, Session];
  const input = await describeColumns(source, select);
  const output = await describeColumns(target, 'select * from target');
  const transformer = await openTransformer({
    module: await findModule(place.folder, 'change', null),
    shape: { input, output, key: [{ input: 'id', output: 'id' }], hidden: [] },
    context: {},
  });
  const bare: number[] = [];
  const one: number[] = [];
  const two: number[] = [];
  const clear = () => target.query('truncate target; checkpoint');
  try {
    for (let round = 0; round < rounds; round += 1) {
      await clear();
      bare.push(await time(() => pipe(source, target)));
      await clear();
      one.push(await time(() => run(transformer, [source, target], 0, rows)));
      await clear();
      const half = rows / 2;
      two.push(
        await time(() =>
          Promise.all([
            run(transformer, [source, target], 0, half),
            run(transformer, [otherSource, otherTarget], half, rows),
          ]),
        ),
      );
    }
  } finally {
    await transformer.close();
  }
  const reference = { what: 'COPY out piped to COPY in', value: rate(bare) };
  return [
    { what: 'one range', value: rate(one), unit: 'rows/s', reference, bound: { atLeast: 0.5 } },
    { what: 'two ranges at once', value: rate(two), unit: 'rows/s', reference, bound: { atLeast: 0.5 } },
    { what: 'resident memory at the end', value: process.memoryUsage.rss() / 2 ** 20, unit: 'MB' },
  ];
}

/** All rows as they are, in one transaction. */
async function pipe(source: Session, target: Session): Promise<void> {
  const copy = await target.copyIn(write);
  await source.copyOut(`copy (${select}) to stdout`, (bytes) => copy.write(bytes));
  await copy.finish();
}

/** As a data migration does: range by range of the key, each with its cursor in a transaction of its own. */
async function run(
  transformer: Transformer,
  [source, target]: readonly [Session, Session],
  from: number,
  to: number,
): Promise<void> {
  const { signal } = new AbortController();
  for (let start = from; start < to; start += batchRows) {
    const end = Math.min(start + batchRows, to);
    await target.query('begin');
    await transformer.run({
      name: `rows ${start} to ${end}`,
      source,
      read: `copy (${select} where id > ${start} and id <= ${end} order by id) to stdout`,
      target,
      write,
      tolerated: 0,
      signal,
    });
    await target.query(`insert into cursor values (${from}, ${end}); commit`);
  }
}

const rate = (times: readonly number[]): number => rows / (fastest(times) / 1_000);
