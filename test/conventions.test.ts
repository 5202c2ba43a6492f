/** The project's promises about itself: fences, catalogue and pages, generated files, registries. */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { faultsOfErrorPage, generateAll } from '../scripts/generate.ts';
import { createDataMigrationsSql } from '../src/data-migrations/schema.ts';
import { createShadowsSql } from '../src/data-migrations/shadow/state.ts';
import { catalogue } from '../src/errors.ts';
import { createJournalSql } from '../src/migrations/journal.ts';
import { createVaultSql } from '../src/vault/schema.ts';
import { version } from '../src/version.ts';

const root = path.resolve(import.meta.dirname, '..');
const read = (file: string): Promise<string> => readFile(path.join(root, file), 'utf8');

/** Sources below a folder, but for what is generated. */
const filesBelow = (folder: string): string[] =>
  readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' })
    .map((file) => path.posix.join(folder, file))
    .filter((file) => file.endsWith('.ts') && !file.includes('/generated/'))
    .sort();

describe('the fences between the folders', () => {
  const refused: readonly (readonly [file: string, code: string])[] = [
    ['src/sql/a.ts', "import '../db/session.ts';"],
    ['src/sql/b.ts', "import 'node:fs';"],
    ['src/sql/c.ts', "import '../config.ts';"],
    ['src/sql/d.ts', "import '../analysis/analyse.ts';"],
    ['src/analysis/a.ts', "import 'node:fs';"],
    ['src/analysis/b.ts', "import '../db/session.ts';"],
    ['src/analysis/rules/a.ts', "import { rm } from 'node:fs/promises';\nexport const a = rm;"],
    ['src/analysis/rules/b.ts', "import '../../config-schema.ts';"],
    ['src/analysis/c.ts', "import 'libpg-query';"],
    ['src/analysis/d.ts', "import 'node:worker_threads';"],
    ['src/db/d.ts', "import '../analysis/facts.ts';"],
    ['src/health/b.ts', "import '../analysis/violation.ts';"],
    ['src/api/e.ts', "import '../analysis/analyse.ts';"],
    ['src/db/a.ts', "import '../migrations/plan.ts';"],
    ['src/db/b.ts', "import '../sql/split.ts';"],
    ['src/db/c.ts', "import 'node:child_process';"],
    ['src/db/control/a.ts', "import '../../jobs/runner.ts';"],
    ['src/migrations/a.ts', "import '../jobs/runner.ts';"],
    ['src/migrations/b.ts', "import '../db/control/control.ts';"],
    ['src/migrations/c.ts', "import 'pg';"],
    ['src/migrations/d.ts', "import 'libpg-query';"],
    ['src/backups/a.ts', "import '../migrations/plan.ts';"],
    ['src/backups/b.ts', "import 'node:child_process';"],
    ['src/backups/stores/a.ts', "import '../../jobs/runner.ts';"],
    ['src/health/a.ts', "import '../alerts/conditions/index.ts';"],
    ['src/health/checks/a.ts', "import '../../jobs/queue.ts';"],
    ['src/alerts/a.ts', "import 'bullmq';"],
    ['src/jobs/a.ts', "import '../api/app.ts';"],
    ['src/jobs/b.ts', "import 'fastify';"],
    ['src/jobs/c.ts', "import '@fastify/sse';"],
    ['src/jobs/d.ts', "import '@prisma/client';"],
    ['src/jobs/kinds/a.ts', "import '../../embedded/server.ts';"],
    ['src/api/a.ts', "import '../migrations/plan.ts';"],
    ['src/api/b.ts', "import '../db/session.ts';"],
    ['src/api/c.ts', "import 'bullmq';"],
    ['src/api/routes/a.ts', "import '../../backups/create.ts';"],
    ['src/api/d.ts', "import type { Redis } from 'ioredis';\nexport type A = Redis;"],
    ['src/embedded/a.ts', "import '../jobs/runner.ts';"],
    ['src/cli/a.ts', "import 'pg';"],
    ['src/schema/a.ts', "import '../migrations/plan.ts';"],
    ['src/schema/b.ts', "import '../db/control/control.ts';"],
    ['src/schema/c.ts', "import 'pg';"],
    ['src/db/e.ts', "import '@supabase/pg-delta';"],
    ['src/jobs/g.ts', "import '@supabase/pg-delta/plan';"],
    ['src/data-migrations/a.ts', "import '../jobs/flags.ts';"],
    ['src/data-migrations/signals/a.ts', "import '../../db/control/control.ts';"],
    ['src/data-migrations/b.ts', "import 'pg';"],
    ['src/api/f.ts', "import '../data-migrations/throttle.ts';"],
    ['src/db/f.ts', "import '../data-migrations/throttle.ts';"],
    ['src/vault/b.ts', "import '../migrations/plan.ts';"],
    ['src/rollback/a.ts', "import '../jobs/runner.ts';"],
    ['src/vault/a.ts', "import '../data-migrations/throttle.ts';"],
    ['src/errors.ts', "import './db/session.ts';"],
    ['src/jobs/e.ts', 'export const home = process.env.HOME;'],
    ['src/jobs/f.ts', 'try {\n  JSON.parse("1");\n} catch {}'],
  ];
  const accepted: readonly (readonly [file: string, code: string])[] = [
    ['src/sql/ok.ts', "import '../errors.ts';\nimport 'libpg-query';"],
    [
      'src/analysis/rules/ok.ts',
      "import '../../sql/split.ts';\nimport '../../catalogue.ts';\nimport 'node:crypto';",
    ],
    ['src/migrations/fine.ts', "import '../analysis/violation.ts';"],
    ['src/jobs/fine.ts', "import '../analysis/analyse.ts';\nimport 'node:worker_threads';"],
    ['src/db/ok.ts', "import '../errors.ts';\nimport '../config.ts';\nimport 'pg';"],
    ['src/db/programs.ts', "import 'node:child_process';"],
    ['src/db/control/ok.ts', "import '../target.ts';\nimport '@prisma/adapter-pg';"],
    ['src/data-migrations/ok.ts', "import '../vault/save.ts';\nimport 'node:worker_threads';"],
    ['src/schema/ok.ts', "import '../db/session.ts';\nimport '@supabase/pg-delta/plan';"],
    [
      'src/migrations/ok.ts',
      "import '../sql/split.ts';\nimport '../db/session.ts';\nimport '../vault/save.ts';",
    ],
    ['src/backups/stores/ok.ts', "import '../../errors.ts';\nimport '../../db/programs.ts';"],
    ['src/jobs/kinds/ok.ts', "import '../../migrations/plan.ts';\nimport '../queue.ts';"],
    ['src/jobs/ok.ts', "import 'bullmq';\nimport '../alerts/sinks/index.ts';"],
    [
      'src/api/routes/ok.ts',
      "import '../../jobs/enqueue.ts';\nimport '../../db/control/control.ts';\nimport 'fastify';",
    ],
    ['src/embedded/ok.ts', "import 'node:child_process';"],
    ['src/cli/ok.ts', "import '../api/app.ts';\nimport '../embedded/server.ts';"],
    ['src/main.ts', "import './cli/serve.ts';"],
    ['src/config.ts', 'export const home = process.env.HOME;'],
  ];
  let folder = '';
  let reported: ReadonlySet<string>;

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'switchback-fences-'));
    await cp(path.join(root, '.oxlintrc.json'), path.join(folder, '.oxlintrc.json'));
    for (const [file, code] of [...refused, ...accepted]) {
      await mkdir(path.dirname(path.join(folder, file)), { recursive: true });
      await writeFile(path.join(folder, file), `${code}\nexport {};\n`);
    }
    const { stdout } = spawnSync(path.join(root, 'node_modules/.bin/oxlint'), ['--format', 'json'], {
      cwd: folder,
      encoding: 'utf8',
    });
    const { diagnostics } = JSON.parse(stdout) as { diagnostics: { filename: string; code: string }[] };
    const fences = /no-restricted-imports|no-process-env|no-empty/;
    reported = new Set(diagnostics.filter(({ code }) => fences.test(code)).map(({ filename }) => filename));
  });

  afterAll(() => rm(folder, { recursive: true, force: true }));

  it.each(refused)('%s may not: %s', (file) => expect(reported).toContain(file));
  it.each(accepted)('%s may: %s', (file) => expect(reported).not.toContain(file));
});

describe('the catalogue of errors', () => {
  it('has a line in docs/errors.md for each code, with its status, and none for a code that is gone', async () => {
    expect(faultsOfErrorPage(await read('docs/errors.md'))).toEqual([]);
  });

  it('is compared in both directions', async () => {
    const page = await read('docs/errors.md');
    expect(faultsOfErrorPage(page.replace('| `LOCK_TIMEOUT` | 504 |', '| `LOCK_TIMEOUTS` | 504 |'))).toEqual([
      'LOCK_TIMEOUT has no line',
      'LOCK_TIMEOUTS is no code of the catalogue',
    ]);
    expect(faultsOfErrorPage(page.replace('| `LOCK_TIMEOUT` | 504 |', '| `LOCK_TIMEOUT` | 500 |'))).toEqual([
      'LOCK_TIMEOUT answers 504, not 500',
    ]);
  });

  it('has no code that nothing raises', async () => {
    const sources = await Promise.all(
      [...filesBelow('src'), ...filesBelow('scripts')].filter((file) => file !== 'src/errors.ts').map(read),
    );
    const text = sources.join('\n');
    expect(Object.keys(catalogue).filter((code) => !text.includes(`'${code}'`))).toEqual([]);
  });
});

describe('generated files', () => {
  it('are as the sources say', async () => {
    const stale: string[] = [];
    for (const { file, content } of await generateAll())
      if (!existsSync(path.join(root, file)) || (await read(file)) !== content) stale.push(file);
    expect(stale).toEqual([]);
  });
});

describe('registries', () => {
  const registries = filesBelow('src').filter((file) => file.endsWith('/index.ts'));

  it('are where the product is extended', () => {
    expect(registries).toEqual(
      expect.arrayContaining([
        'src/jobs/kinds/index.ts',
        'src/health/checks/index.ts',
        'src/api/routes/index.ts',
      ]),
    );
  });

  it.each(registries)('%s: no file beside it is forgotten', async (registry) => {
    const folder = path.dirname(registry);
    const files = (await readdir(path.join(root, folder))).filter((file) => file.endsWith('.ts'));
    const text = (await Promise.all(files.map((file) => read(path.join(folder, file))))).join('\n');
    const forgotten = files.filter((file) => file !== 'index.ts' && !text.includes(`'./${file}'`));
    expect(forgotten).toEqual([]);
  });

  it.each(registries)('%s: an entry is called as its file is', async (registry) => {
    const module: Record<string, unknown> = await import(path.join(root, registry));
    const names = Object.values(module)
      .filter((value) => Array.isArray(value))
      .flat()
      .flatMap((entry: { name?: unknown; type?: unknown; id?: unknown }) =>
        typeof entry === 'object' ? [String(entry.name ?? entry.type ?? entry.id)] : [],
      );
    const missing = names.filter(
      (name) => !existsSync(path.join(root, path.dirname(registry), `${name}.ts`)),
    );
    expect(missing).toEqual([]);
  });
});

describe('sources', () => {
  it('are at most 300 lines long', async () => {
    const lengths = await Promise.all(
      filesBelow('src').map(async (file) => ({ file, lines: (await read(file)).split('\n').length - 1 })),
    );
    expect(lengths.filter(({ lines }) => lines > 300)).toEqual([]);
  });

  it('have no SQL in src/api', async () => {
    const sql = /\b(SELECT\b[^;]*\bFROM|INSERT INTO|UPDATE\s+\S+\s+SET|DELETE FROM)\b|\$(query|execute)Raw/i;
    const guilty: string[] = [];
    for (const file of filesBelow('src/api'))
      if (sql.test(withoutComments(await read(file)))) guilty.push(file);
    expect(guilty).toEqual([]);
  });

  it('swallow no rejection', async () => {
    const guilty: string[] = [];
    for (const file of filesBelow('src'))
      if (/\.catch\(\s*\(\w*\)\s*=>\s*(\{\s*\}|null|undefined)\s*\)/.test(await read(file)))
        guilty.push(file);
    expect(guilty).toEqual([]);
  });

  it('of the tests leave none out by accident', async () => {
    const guilty: string[] = [];
    for (const file of filesBelow('test'))
      if (/\b(it|test|describe)\.only\b/.test(withoutComments(await read(file)))) guilty.push(file);
    expect(guilty).toEqual([]);
  });
});

describe('the package', () => {
  it('has exact versions', async () => {
    const manifest = JSON.parse(await read('package.json')) as Record<string, Record<string, string>>;
    const versions = ['dependencies', 'devDependencies', 'optionalDependencies'].flatMap((group) =>
      Object.entries(manifest[group] ?? {}),
    );
    expect(versions.length).toBeGreaterThan(10);
    expect(
      versions.filter(([, version]) => !/^(npm:@?[\w/-]+@)?\d+\.\d+\.\d+(-[\w.-]+)?$/.test(version)),
    ).toEqual([]);
  });

  it('says why each runtime dependency is there', async () => {
    const manifest = JSON.parse(await read('package.json')) as { dependencies: Record<string, string> };
    const record = await read('docs/adr/0005-dependencies.md');
    expect(Object.keys(manifest.dependencies).filter((name) => !record.includes(`\`${name}\``))).toEqual([]);
  });

  it('is of the version that reports and the API document tell', async () => {
    expect((JSON.parse(await read('package.json')) as { version: string }).version).toBe(version);
  });

  it('has a changelog with what is to come', async () => {
    expect(await read('CHANGELOG.md')).toMatch(/^## \[Unreleased\]$/m);
  });
});

const withoutComments = (text: string): string =>
  text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '');

const bare = (sql: string): string => sql.replace(/\s+/g, ' ').trim();

describe('docs/operations.md', () => {
  it("gives the journal's SQL as it is run", async () => {
    expect(bare(await read('docs/operations.md'))).toContain(bare(createJournalSql));
  });

  it("gives the vault's SQL as it is run", async () => {
    expect(bare(await read('docs/operations.md'))).toContain(bare(createVaultSql));
  });

  it("gives the data migrations' SQL, and that of shadows, as it is run", async () => {
    expect(bare(await read('docs/operations.md'))).toContain(bare(createDataMigrationsSql));
    expect(bare(await read('docs/operations.md'))).toContain(bare(createShadowsSql));
  });
});
