import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { schemaFrom } from '../src/analysis/schema/from-catalogue.ts';
import { programDirectories } from '../src/config.ts';
import { readCatalogue } from '../src/db/catalogue.ts';
import { findPrograms } from '../src/db/programs.ts';
import { withSession } from '../src/db/session.ts';
import { parseTarget } from '../src/db/target.ts';
import { apply } from '../src/migrations/apply.ts';
import { compare } from '../src/migrations/compare.ts';
import { readHistory } from '../src/migrations/history.ts';
import { makePlan } from '../src/migrations/plan.ts';
import { readDirectory } from '../src/migrations/read.ts';
import { loadParser } from '../src/sql/parse.ts';
import { prismaEngine } from '../test/migrations/prisma-engine.ts';
import { defineBench, fastest, time } from './define-bench.ts';
import { withPlace } from './place.ts';

const count = 200;
const rounds = 5;
const nameOf = (index: number): string => `2026${String(index).padStart(10, '0')}_step_${index}`;

export const deploy200 = defineBench({
  name: 'deploy-200',
  summary: `${count} small migrations on an empty database, the fastest of ${rounds} rounds that take turns`,
  run: () =>
    withPlace(async (place) => {
      const directory = path.join(place.folder, 'migrations');
      await writeMigrations(directory);
      await loadParser();
      const ours: number[] = [];
      const psql: number[] = [];
      const prisma: number[] = [];
      for (let round = 0; round < rounds; round += 1) {
        const [first, second, third] = [
          await place.createDatabase(),
          await place.createDatabase(),
          await place.createDatabase(),
        ];
        ours.push(await time(() => deployWithSwitchback(directory, first)));
        psql.push(await time(() => deployWithPsql(directory, second)));
        prisma.push(await time(() => deployWithPrisma(directory, third)));
      }
      const figure = { what: 'Switchback, from reading the folder to its end', unit: 'ms' };
      return [
        {
          ...figure,
          value: fastest(ours),
          reference: { what: 'psql -f, one file each', value: fastest(psql) },
          bound: { atMost: 1.2 },
        },
        {
          ...figure,
          value: fastest(ours),
          reference: { what: "Prisma's engine", value: fastest(prisma) },
          bound: { atMost: 1 },
        },
      ];
    }),
});

async function writeMigrations(directory: string): Promise<void> {
  await mkdir(directory);
  await writeFile(path.join(directory, 'migration_lock.toml'), 'provider = "postgresql"\n');
  for (let index = 0; index < count; index += 1) {
    await mkdir(path.join(directory, nameOf(index)));
    await writeFile(path.join(directory, nameOf(index), 'migration.sql'), sqlOf(index));
  }
}

/** By turns a new table, a column, an index, a foreign key: what Prisma generates for small changes. */
function sqlOf(index: number): string {
  const table = Math.floor(index / 4);
  const statements = [
    `-- CreateTable\nCREATE TABLE "Item${table}" (\n    "id" SERIAL NOT NULL,\n    "name" TEXT NOT NULL,\n    "parentId" INTEGER,\n\n    CONSTRAINT "Item${table}_pkey" PRIMARY KEY ("id")\n);\n`,
    `-- AlterTable\nALTER TABLE "Item${table}" ADD COLUMN     "note" TEXT;\n`,
    `-- CreateIndex\nCREATE INDEX "Item${table}_name_idx" ON "Item${table}"("name");\n`,
    `-- AddForeignKey\nALTER TABLE "Item${table}" ADD CONSTRAINT "Item${table}_parentId_fkey" FOREIGN KEY ("parentId") REFERENCES "Item${table}"("id") ON DELETE SET NULL ON UPDATE CASCADE;\n`,
  ];
  return statements[index % 4] ?? '';
}

async function deployWithSwitchback(directory: string, url: string): Promise<void> {
  const target = parseTarget(url);
  const bundle = await readDirectory(directory);
  const plan = await withSession(target, { applicationName: 'switchback:bench' }, async (session) => {
    const history = await readHistory(session, target.schema);
    const comparison = compare(bundle, history, { outOfOrder: 'warn' });
    const schema = schemaFrom(await readCatalogue(session), { defaultSchema: target.schema });
    return makePlan({ bundle, history, comparison, serverVersion: '15', schema });
  });
  const applied = await apply({
    target,
    bundle,
    plan,
    jobId: 'bench',
    lockTimeoutMs: 2_000,
    lockBudgetMs: 10_000,
    vault: {
      operation: 'bench',
      retentionDays: 30,
      limitBytes: null,
      whenFull: 'refuse',
      backup: null,
      allow: [],
    },
    signal: new AbortController().signal,
    report: () => undefined,
  });
  expectAll(applied.length);
}

async function deployWithPsql(directory: string, url: string): Promise<void> {
  const programs = await findPrograms({ searchPath: programDirectories() }, 15);
  const psql = path.join(programs.directory, 'psql');
  const { libpqEnvironment } = parseTarget(url);
  for (let index = 0; index < count; index += 1) {
    const file = path.join(directory, nameOf(index), 'migration.sql');
    await promisify(execFile)(psql, ['-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', file], {
      env: libpqEnvironment,
    });
  }
}

async function deployWithPrisma(directory: string, url: string): Promise<void> {
  const applied = await prismaEngine(url).deploy(await readDirectory(directory));
  expectAll(applied.length);
}

function expectAll(applied: number): void {
  if (applied !== count) throw new Error(`${applied} of ${count} migrations were applied`);
}
