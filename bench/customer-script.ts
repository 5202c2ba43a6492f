import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import { defineBench, time } from './define-bench.ts';
import { migrate } from './migrate.ts';
import { withPlace } from './place.ts';

const sizes = [100_000, 200_000] as const;
const page = 1_000;

export const customerScript = defineBench({
  name: 'customer-script',
  summary: `copying ${sizes.map((rows) => rows.toLocaleString('en')).join(' and ')} rows beside a script that pages with OFFSET, inserts as Prisma's createMany does, and sleeps 100 ms a page`,
  run: () =>
    withPlace(async (place) => {
      const measurements = [];
      for (const rows of sizes) {
        const url = await place.createDatabase();
        await place.query(
          url,
          `create table item (id bigint primary key, amount int not null, note text);
           create table copied (like item including all);
           insert into item select n, n, md5(n::text) from generate_series(1, ${rows}) as n`,
        );
        await place.query(url, 'vacuum analyze item');
        const script = await time(() => copyByOffset(url));
        await place.query(url, 'truncate copied');
        const ours = await time(() => migrate(url, { kind: 'copy', table: 'item', to: { table: 'copied' } }));
        measurements.push({
          what: `copy of ${rows.toLocaleString('en')} rows`,
          value: rows / (ours / 1_000),
          unit: 'rows/s',
          reference: { what: 'the script', value: rows / (script / 1_000) },
          bound: { atLeast: 1 },
        });
      }
      return measurements;
    }),
});

/** Nothing says which rows come next: a page may have rows of the one before it. */
async function copyByOffset(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  for (let offset = 0; ; offset += page) {
    const { rows } = await client.query<{ id: string; amount: number; note: string }>(
      'select id, amount, note from item order by id limit $1 offset $2',
      [page, offset],
    );
    if (rows.length === 0) break;
    const places = rows.map((_, index) => `($${3 * index + 1}, $${3 * index + 2}, $${3 * index + 3})`);
    await client.query(
      `insert into copied (id, amount, note) values ${places.join(', ')} on conflict do nothing`,
      rows.flatMap(({ id, amount, note }) => [id, amount, note]),
    );
    await pause(100);
  }
  await client.end();
}
