/** Triggers of ours on tables of users: a data migration's, and those by which the vault sees changed rows. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { programDirectories } from '../../src/config.ts';
import { parseTarget } from '../../src/db/target.ts';
import { copySchema } from '../../src/schema/copy.ts';
import { difference } from '../../src/schema/difference.ts';
import { type Fingerprint, readFingerprint } from '../../src/schema/fingerprint.ts';
import { createScratch } from '../../src/schema/scratch.ts';
import type { TestDatabase } from '../support/postgres.ts';
import { openServer, type SchemaServer, tested, work } from './place.ts';

const tableSql = `create table public.orders (id bigint primary key, note text);
  create function public.touch() returns trigger language plpgsql as 'begin return new; end';
  create trigger touched before update on public.orders for each row execute function public.touch();`;
const triggersSql = `
  create schema switchback; create schema switchback_vault;
  create function switchback.key_1() returns trigger language plpgsql as 'begin return null; end';
  create trigger switchback_key after update on public.orders for each row
    when (old.id is distinct from new.id) execute function switchback.key_1('a name');
  alter table public.orders enable always trigger switchback_key;
  create function switchback_vault.changes_1() returns trigger language plpgsql as 'begin return null; end';
  create trigger " switchback_changes_1" after insert on public.orders for each row execute function switchback_vault.changes_1();`;

const ways = { 'by pg_dump': programDirectories(), 'by the difference': [] };
const fingerprint = (url: string): Promise<Fingerprint> => work(url, (session) => readFingerprint(session));

describe.each(tested.map((major) => ({ major })))(
  'on PostgreSQL $major',
  { timeout: 60_000 },
  ({ major }) => {
    let server: SchemaServer;
    let plain: TestDatabase;
    let guarded: TestDatabase;
    beforeAll(async () => {
      server = await openServer(major);
      plain = await server.make(tableSql);
      guarded = await server.make(`${tableSql} ${triggersSql}`);
    });
    afterAll(() => server.close());

    test('they are no part of the schema', async () => {
      expect((await fingerprint(guarded.url)).facts).toEqual((await fingerprint(plain.url)).facts);
    });

    test('and in no statement of a difference', async () => {
      const [from, to] = [parseTarget(plain.url), parseTarget(guarded.url)];
      const other = await work(
        (await server.make(`${tableSql} ${triggersSql} alter table public.orders add column age int`)).url,
        (session) => Promise.resolve(session.target),
      );
      expect(await difference(from, to, { applicationName: 'test' })).toMatchObject({ statements: [] });
      const { statements } = await difference(from, other, { applicationName: 'test' });
      expect(statements).toEqual([expect.stringMatching(/ADD COLUMN "age"/)]);
    });

    test.each(Object.entries(ways))(
      'a copy %s does without them, and lacks nothing',
      async (_, searchPath) => {
        const source = parseTarget(guarded.url);
        const scratch = await createScratch({ like: source, jobId: randomUUID(), applicationName: 'test' });
        try {
          const { left } = await copySchema({
            ...{
              source,
              scratch,
              programPlaces: { searchPath },
              lockWaitSeconds: 1,
              applicationName: 'test',
            },
            signal: new AbortController().signal,
          });
          expect(left).toEqual([]);
          const session = await scratch.open();
          const { rows } = await session.query('select tgname from pg_trigger where not tgisinternal');
          await session.close();
          expect(rows).toEqual([{ tgname: 'touched' }]);
        } finally {
          await scratch.drop();
        }
      },
    );
  },
);
