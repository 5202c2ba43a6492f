import { setInterval } from 'node:timers';
import { defineBench, type Measurement, time } from './define-bench.ts';
import { migrate } from './migrate.ts';
import { type Place, withPlace } from './place.ts';

const unit = Number(process.env.BENCH_ROWS ?? 1_000_000);
const sizes = [unit, 10 * unit, 30 * unit] as const;

interface Figures {
  readonly rows: number;
  readonly ours: number;
  readonly bare: number;
  readonly megabytes: number;
}

export const growth = defineBench({
  name: 'growth',
  summary: `a backfill of tables of ${sizes.map((rows) => rows.toLocaleString('en')).join(', ')} rows beside one UPDATE of them: its cost per row, and its memory`,
  run: () =>
    withPlace(async (place) => {
      const measured: Figures[] = [];
      for (const rows of sizes) measured.push(await measure(place, rows));
      const [least, ...larger] = measured as [Figures, ...Figures[]];
      return larger.flatMap(({ rows, ours, bare, megabytes }): Measurement[] => {
        const millions = (rows / 1_000_000).toLocaleString('en');
        return [
          {
            what: `cost of a row beside one UPDATE's, ${millions} million rows`,
            value: bare / ours,
            unit: 'times',
            reference: { what: 'of the smallest table', value: least.bare / least.ours },
            bound: { atMost: 1.2 },
          },
          {
            what: `resident memory, ${millions} million rows`,
            value: megabytes,
            unit: 'MB',
            reference: { what: 'of the smallest table', value: least.megabytes },
            bound: { atMost: 1.2 },
          },
        ];
      });
    }),
});

async function measure(place: Place, rows: number): Promise<Figures> {
  const url = await place.createDatabase();
  await place.query(
    url,
    `create table item (id bigint primary key, amount int not null, note text);
     insert into item select n, n, md5(n::text) from generate_series(1, ${rows}) as n`,
  );
  // The second version of every row finds its place once: afterwards both find the same one.
  for (const sql of [
    'vacuum analyze item',
    'update item set amount = amount + 1',
    'vacuum item',
    'checkpoint',
  ])
    await place.query(url, sql);
  const bare = rows / (await time(() => place.query(url, 'update item set amount = amount + 1')));
  for (const sql of ['vacuum item', 'checkpoint']) await place.query(url, sql);
  let most = 0;
  const look = setInterval(() => {
    most = Math.max(most, process.memoryUsage.rss());
  }, 100);
  const ours =
    rows /
    (await time(() => migrate(url, { kind: 'backfill', table: 'item', set: { amount: 'amount + 1' } })));
  clearInterval(look);
  await place.query(url, 'drop table item');
  return { rows, ours, bare, megabytes: most / 1_048_576 };
}
