import { validate as validateTables } from '../src/data-migrations/validate/validate.ts';
import { parseTarget } from '../src/db/target.ts';
import { copyOut } from './copy-out.ts';
import { defineBench, fastest, type Measurement, time } from './define-bench.ts';
import { type Place, withPlace } from './place.ts';

const rows = 1_000_000;
const rounds = 6;
const columns = 'id, customer, status, mail, amount, quantity, paid, placed_at, note';

export const validate = defineBench({
  name: 'validate',
  summary: `two tables of ${rows.toLocaleString('en')} rows compared in full, and with one row that differs; the fastest of ${rounds} rounds that take turns`,
  run: () =>
    withPlace(async (place) => {
      const url = await place.createDatabase();
      await fill(place, url);
      return [
        ...(await measure(url, 1)),
        ...(await measure(url, 2)),
        ...(await measureDifference(place, url)),
      ];
    }),
});

async function fill(place: Place, url: string): Promise<void> {
  await place.query(
    url,
    `create table source (id bigint primary key, customer uuid not null, status text not null, mail varchar(100),
       amount numeric(12,2) not null, quantity integer, paid boolean, placed_at timestamptz not null, note text);
     insert into source select n, md5(n::text)::uuid, (array['new', 'paid', 'sent'])[n % 3 + 1], 'user' || n || '@example.com',
       (n % 100000) / 100.0, n % 50, n % 3 = 0, timestamptz '2020-01-01' + n * interval '13.37 s', nullif(repeat('note ', n % 12), '')
       from generate_series(1, ${rows}) n;
     create table target as select * from source;
     alter table target add primary key (id)`,
  );
  await place.query(url, 'vacuum analyze source');
  await place.query(url, 'vacuum analyze target');
}

async function measure(url: string, sessions: number): Promise<Measurement[]> {
  const ours: number[] = [];
  const copies: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    copies.push(await time(() => copyBoth(url, sessions)));
    ours.push(await time(() => expectDifferences(url, sessions, 0)));
  }
  return [
    {
      what: `compared in full, ${sessions} session${sessions > 1 ? 's' : ''}`,
      value: fastest(ours),
      unit: 'ms',
      reference: {
        what: `COPY of the same columns of both, ${sessions > 1 ? 'at the same time' : 'one after the other'}`,
        value: fastest(copies),
      },
      bound: { atMost: 1 },
    },
  ];
}

/** One row among all is found by reading the tables once more. */
async function measureDifference(place: Place, url: string): Promise<Measurement[]> {
  await place.query(url, `update target set amount = -1 - amount where id = ${Math.floor(rows / 2)}`);
  const ours: number[] = [];
  for (let round = 0; round < rounds; round += 1) ours.push(await time(() => expectDifferences(url, 1, 1)));
  return [{ what: 'one row found that differs, 1 session', value: fastest(ours), unit: 'ms' }];
}

async function copyBoth(url: string, sessions: number): Promise<void> {
  const copy = (table: string) => copyOut(url, `copy (select ${columns} from ${table}) to stdout`);
  if (sessions > 1) await Promise.all([copy('source'), copy('target')]);
  else for (const table of ['source', 'target']) await copy(table);
}

async function expectDifferences(url: string, parallelism: number, expected: number): Promise<void> {
  const place = { database: 'bench', target: parseTarget(url), schema: 'public' };
  const { differences } = await validateTables(
    {
      source: { ...place, table: 'source' },
      target: { ...place, table: 'target' },
      extraRows: 'refused',
      parallelism,
      pauseMs: 0,
      tries: 1,
      listed: 10,
      values: 'shown',
    },
    {
      applicationName: 'switchback:bench',
      signal: new AbortController().signal,
      phase: (_, work) => work(() => undefined),
    },
  );
  if (differences.total !== expected) throw new Error(`${differences.total} differences, not ${expected}`);
}
