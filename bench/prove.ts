import { randomUUID } from 'node:crypto';
import { findPrograms, type ProgramPlaces, runProgram } from '../src/db/programs.ts';
import { parseTarget, type Target } from '../src/db/target.ts';
import { AppError } from '../src/errors.ts';
import { proveMigrations } from '../src/rollback/prove.ts';
import { loadParser } from '../src/sql/parse.ts';
import { defineBench, fastest, time } from './define-bench.ts';
import { withPlace } from './place.ts';

const tables = 300;
const rounds = 3;
const migration = `alter table t150 drop column note, add column age int;
  alter table t151 alter n type bigint;
  create index on t152 (note)`;

const schemaSql = Array.from(
  { length: tables },
  (
    _,
    n,
  ) => `create table t${n} (id bigserial primary key, note text not null, n int not null default ${n}, at timestamptz default now(),
    a text, b text, c numeric(10, 2), d boolean not null default false, e jsonb, other bigint ${n === 0 ? '' : `references t${n % 10 === 0 ? 0 : n - (n % 10)}`});
    create index on t${n} (other); create unique index on t${n} (note, n)`,
).join(';');

export const prove = defineBench({
  name: 'prove',
  summary: `the way back of one migration on a schema of ${tables} tables, generated and proven with rows; the fastest of ${rounds} rounds that take turns`,
  run: () =>
    withPlace(async (place) => {
      await loadParser();
      const url = await place.createDatabase();
      // Locks of one transaction that makes all of them would not fit.
      for (const part of schemaSql.split(/;(?=create table)/)) await place.query(url, part);
      const live = parseTarget(url);
      const programPlaces = { searchPath: (process.env.PATH ?? '').split(':') };
      const ours: number[] = [];
      const dumps: number[] = [];
      for (let round = 0; round < rounds; round += 1) {
        dumps.push(await time(() => dumpTwice(live, programPlaces)));
        ours.push(await time(() => proveOne(live, programPlaces)));
      }
      return [
        {
          what: 'generated and proven',
          value: fastest(ours) / 1_000,
          unit: 's',
          reference: { what: 'pg_dump --schema-only, twice', value: fastest(dumps) / 1_000 },
        },
        { what: 'generated and proven', value: fastest(ours) / 1_000, unit: 's', bound: { atMost: 10 } },
      ];
    }),
});

async function proveOne(live: Target, programPlaces: ProgramPlaces): Promise<void> {
  const proofs = proveMigrations({
    server: live,
    from: { live, programPlaces, lockWaitSeconds: 10 },
    rows: 'generated',
    migrations: [{ name: '1_change', sql: migration, files: new Map() }],
    jobId: randomUUID(),
    signal: new AbortController().signal,
  });
  for await (const { outcome, reasons } of proofs)
    if (outcome !== 'proven') throw new Error(`${outcome}: ${reasons.join(' ')}`);
}

async function dumpTwice(live: Target, places: ProgramPlaces): Promise<void> {
  const programs = await findPrograms(places, 15);
  for (let n = 0; n < 2; n += 1)
    for await (const _ of runProgram(programs, 'pg_dump', {
      arguments: ['--schema-only', '--no-password'],
      environment: { ...live.libpqEnvironment },
      signal: new AbortController().signal,
      failure: ({ stderr }) => new AppError('SCHEMA_COPY_FAILED', stderr),
    }));
}
