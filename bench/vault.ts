import { openSession, type Session } from '../src/db/session.ts';
import { parseTarget } from '../src/db/target.ts';
import { save } from '../src/vault/save.ts';
import { defineBench, fastest, time } from './define-bench.ts';
import { withPlace } from './place.ts';

const rows = 10_000_000;
const rounds = 3;

export const vault = defineBench({
  name: 'vault',
  summary: `a column of ${rows.toLocaleString('en')} rows kept before it is dropped, in one stream; the fastest of ${rounds} rounds that take turns`,
  run: () =>
    withPlace(async (place) => {
      const url = await place.createDatabase();
      await place.query(
        url,
        `create table item (id bigint primary key, note text, at timestamptz default now());
         insert into item select n, md5(n::text) from generate_series(1, ${rows}) as n`,
      );
      await place.query(url, 'vacuum analyze item');
      const session = await openSession(parseTarget(url), {
        applicationName: 'switchback:bench',
        doing: 'measuring',
      });
      const ours: number[] = [];
      const bare: number[] = [];
      try {
        for (let round = 0; round < rounds; round += 1) {
          bare.push(
            await inTransaction(session, () =>
              session.query('create table copied as select id, note from item'),
            ),
          );
          ours.push(
            await inTransaction(session, () =>
              save(
                session,
                { kind: 'dropColumns', table: { schema: 'public', name: 'item' }, columns: ['note'] },
                {
                  operation: 'bench',
                  migration: '1_drop',
                  direction: 'forth',
                  statement: 1,
                  retentionDays: 30,
                  limitBytes: null,
                },
              ),
            ),
          );
        }
      } finally {
        await session.close();
      }
      return [
        {
          what: 'kept in the vault, with the rows’ keys',
          value: rate(ours),
          unit: 'rows/s',
          reference: { what: 'CREATE TABLE AS of the same columns', value: rate(bare) },
          bound: { atLeast: 0.8 },
        },
      ];
    }),
});

/** The work and its COMMIT count; what it made goes again. */
async function inTransaction(session: Session, work: () => Promise<unknown>): Promise<number> {
  const took = await time(async () => {
    await session.query('begin');
    await work();
    await session.query('commit');
  });
  await session.query('drop table if exists copied; drop schema if exists switchback_vault cascade');
  return took;
}

const rate = (times: readonly number[]): number => rows / (fastest(times) / 1_000);
