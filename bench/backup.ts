import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createBackup, dumpArguments } from '../src/backups/create.ts';
import { openStore } from '../src/backups/stores/index.ts';
import { programDirectories } from '../src/config.ts';
import { findPrograms } from '../src/db/programs.ts';
import { parseTarget } from '../src/db/target.ts';
import { defineBench, fastest, time } from './define-bench.ts';
import { withPlace } from './place.ts';

const rows = 1_500_000;
const rounds = 5;

export const backup = defineBench({
  name: 'backup',
  summary: `${rows.toLocaleString('en')} rows into the file store, without reading back, the fastest of ${rounds} rounds that take turns`,
  run: () =>
    withPlace(async (place) => {
      const url = await place.createDatabase();
      await place.query(
        url,
        `create table item (id int primary key, note text, at timestamptz default now());
         insert into item select n, md5(n::text) || repeat(' some words', 5) from generate_series(1, ${rows}) as n`,
      );
      await place.query(url, 'vacuum analyze item');
      const target = parseTarget(url);
      const searchPath = programDirectories();
      const programs = await findPrograms({ searchPath }, 15);
      const store = await openStore({ type: 'file', directory: path.join(place.folder, 'store') });
      const rss = new Peak();
      const ours: number[] = [];
      const bare: number[] = [];
      for (let round = 0; round < rounds; round += 1) {
        bare.push(
          await time(() =>
            dumpBare(
              path.join(programs.directory, 'pg_dump'),
              target.libpqEnvironment,
              path.join(place.folder, 'bare'),
            ),
          ),
        );
        ours.push(
          await time(() =>
            createBackup({
              target,
              store,
              key: 'bench.dump',
              programPlaces: { searchPath },
              lockWaitSeconds: 30,
              applicationName: 'switchback:backup:bench',
              signal: new AbortController().signal,
              progress: () => rss.look(),
            }),
          ),
        );
      }
      return [
        {
          what: 'Switchback, streamed, counted and hashed',
          value: fastest(ours),
          unit: 'ms',
          reference: { what: 'pg_dump --file', value: fastest(bare) },
          bound: { atMost: 1.05 },
        },
        { what: 'growth of resident memory while dumping', value: rss.growth(), unit: 'MB' },
      ];
    }),
});

async function dumpBare(program: string, env: Readonly<Record<string, string>>, file: string): Promise<void> {
  const child = spawn(program, [...dumpArguments(30), `--file=${file}`], { env, stdio: 'inherit' });
  const [code] = await once(child, 'exit');
  if (code !== 0) throw new Error(`pg_dump ended with ${code}`);
}

class Peak {
  readonly #start = process.memoryUsage.rss();
  #peak = this.#start;

  look(): void {
    this.#peak = Math.max(this.#peak, process.memoryUsage.rss());
  }

  /** In megabytes. */
  growth(): number {
    return (this.#peak - this.#start) / 2 ** 20;
  }
}
