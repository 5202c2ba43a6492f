/** An autovacuum that takes hours does not hold a data migration up. */
import { expect, test } from 'vitest';
import { startServer } from '../support/postgres.ts';
import { waitFor } from '../support/wait.ts';
import { migrate, sql, value } from './migrate.ts';

/** What it does in a second is a page or two. */
const slow =
  'autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1, autovacuum_vacuum_threshold = 0, autovacuum_vacuum_scale_factor = 0, autovacuum_enabled = on';

test.each([
  ['a backfill', { kind: 'backfill', set: { n: 'n + 1' } }],
  ['a shadow', { kind: 'shadow', alter: 'alter column n type bigint' }],
] as const)(
  '%s begins and ends beside it: it gives way',
  async (_, body) => {
    const server = await startServer(15, { autovacuum: 'on', autovacuum_naptime: '1s' });
    try {
      const url = server.url();
      await sql(
        url,
        `create table vacuumed (id int primary key, n int not null, filler text) with (${slow});
       insert into vacuumed select n, 0, repeat('x', 500) from generate_series(1, 5000) n; update vacuumed set filler = filler || 'y'`,
      );
      const vacuuming = () =>
        value(
          url,
          "select count(*)::int from pg_locks where relation = 'vacuumed'::regclass and mode = 'ShareUpdateExclusiveLock' and granted",
        );
      await waitFor(vacuuming, { what: 'the autovacuum' });
      expect(await migrate(url, { ...body, table: 'vacuumed' })).toMatchObject({ state: 'finished' });
      expect(await value(url, 'select count(*)::int from vacuumed')).toBe(5_000);
    } finally {
      await server.stop('immediate');
    }
  },
  60_000,
);
