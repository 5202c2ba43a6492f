import { defineBench, fastest, type Measurement, time } from './define-bench.ts';
import { migrate } from './migrate.ts';
import { type Place, withPlace } from './place.ts';

const rows = Number(process.env.BENCH_ROWS ?? 10_000_000);
const rounds = 3;

/** Ways to do the same work; they take turns. */
interface Contest {
  readonly what: string;
  readonly reference: { readonly what: string; readonly sql: string };
  readonly body: object;
  /** Makes the tables as they were before. */
  readonly before: readonly string[];
}

const contests: readonly Contest[] = [
  {
    what: 'backfill',
    reference: { what: 'one UPDATE', sql: 'update item set amount = amount + 1' },
    body: { kind: 'backfill', table: 'item', set: { amount: 'amount + 1' } },
    before: ['vacuum item'],
  },
  {
    what: 'copy',
    reference: {
      what: 'one INSERT … SELECT',
      sql: 'insert into copied select id, amount, note, at from item',
    },
    body: { kind: 'copy', table: 'item', to: { table: 'copied' } },
    before: ['vacuum item', 'truncate copied'],
  },
];

export const backfill = defineBench({
  name: 'backfill',
  summary: `a data migration of ${rows.toLocaleString('en')} rows that the database itself computes; the fastest of ${rounds} rounds that take turns`,
  run: () =>
    withPlace(async (place) => {
      const url = await place.createDatabase();
      await place.query(
        url,
        `create table item (id bigint primary key, amount int not null, note text, at timestamptz not null default now());
         create table copied (like item including all);
         insert into item select n, n, md5(n::text) from generate_series(1, ${rows}) as n`,
      );
      // The second version of every row finds its place once: afterwards all rounds find the same one.
      await place.query(url, 'vacuum analyze item');
      await place.query(url, 'update item set amount = amount + 1');
      const measurements: Measurement[] = [];
      for (const contest of contests) measurements.push(...(await hold(place, url, contest)));
      return measurements;
    }),
});

async function hold(
  place: Place,
  url: string,
  { what, reference, body, before }: Contest,
): Promise<Measurement[]> {
  const bare: number[] = [];
  const ours = new Map<number, number[]>([
    [1, []],
    [2, []],
  ]);
  const prepare = async (): Promise<void> => {
    for (const sql of [...before, 'checkpoint']) await place.query(url, sql);
  };
  for (let round = 0; round < rounds; round += 1) {
    await prepare();
    bare.push(await time(() => place.query(url, reference.sql)));
    for (const [parallelism, times] of ours) {
      await prepare();
      times.push(await time(() => wholly(url, { ...body, parallelism })));
    }
  }
  return [...ours].map(([parallelism, times]) => ({
    what: `${what}, ${parallelism === 1 ? 'one range' : `${parallelism} ranges`}`,
    value: rate(times),
    unit: 'rows/s',
    reference: { what: reference.what, value: rate(bare) },
    bound: { atLeast: parallelism === 1 ? 0.9 : 1 },
  }));
}

async function wholly(url: string, body: object): Promise<void> {
  const { changed } = await migrate(url, body);
  if (changed !== rows) throw new Error(`${changed} of ${rows} rows were changed`);
}

const rate = (times: readonly number[]): number => rows / (fastest(times) / 1_000);
