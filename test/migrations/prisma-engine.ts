/** Prisma's own schema engine, of the version this project uses, as the judge of what we write into a history. */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { PrismaPg } from '@prisma/adapter-pg';
import { bindMigrationAwareSqlAdapterFactory } from '@prisma/driver-adapter-utils';
import type { MigrationList, SchemaEngine } from '@prisma/schema-engine-wasm';
import pg from 'pg';
import type { Bundle } from '../../src/migrations/read.ts';

/** What `prisma migrate status` rests on. */
export interface PrismaDiagnosis {
  /** Folders that Prisma would apply next. */
  readonly pending: string[];
  /** Unfinished and not rolled back: Prisma refuses to go on (P3009). */
  readonly failed: string[];
  readonly edited: string[];
}

export interface PrismaEngine {
  /** `prisma migrate deploy`: names of what it applied. */
  deploy(bundle: Bundle): Promise<string[]>;
  diagnose(bundle: Bundle): Promise<PrismaDiagnosis>;
  resolveApplied(bundle: Bundle, migration: string): Promise<void>;
  resolveRolledBack(migration: string): Promise<void>;
  /** The SQL by which Prisma makes an empty database, or one with an earlier schema.prisma, what a schema.prisma says. */
  createSql(schema: string, earlier?: string): Promise<string>;
}

type EngineModule = typeof import('@prisma/schema-engine-wasm');
type Exports = object & { __wbindgen_start(): void };

// Part of Node, but the types of Node and of ES2023 do not name it.
declare const WebAssembly: {
  instantiate(
    bytes: Uint8Array,
    imports: Record<string, object>,
  ): Promise<{ instance: { exports: Exports } }>;
};

let loaded: Promise<EngineModule> | undefined;

/** Node does not open WebAssembly modules by import; the glue beside it is its import and its interface. */
async function load(): Promise<EngineModule> {
  const require = createRequire(import.meta.url);
  const glue: EngineModule & { __wbg_set_wasm(exports: Exports): void } = await import(
    '@prisma/schema-engine-wasm/schema_engine_bg'
  );
  const file = require
    .resolve('@prisma/schema-engine-wasm/schema_engine_bg')
    .replace('schema_engine_bg.js', 'schema_engine_bg.wasm');
  const { instance } = await WebAssembly.instantiate(await readFile(file), {
    './schema_engine_bg.js': glue,
  });
  glue.__wbg_set_wasm(instance.exports);
  instance.exports.__wbindgen_start();
  return glue;
}

/** Prisma's engine on a database. Each call is a process of Prisma's: it keeps its lock until its connection ends. */
export function prismaEngine(url: string): PrismaEngine {
  return {
    async deploy(bundle) {
      const input = { migrationsList: toList(bundle), filters };
      return (await withEngine(url, (engine) => engine.applyMigrations(input))).appliedMigrationNames;
    },
    async diagnose(bundle) {
      const input = { migrationsList: toList(bundle), optInToShadowDatabase: false, filters };
      const seen = await withEngine(url, (engine) => engine.diagnoseMigrationHistory(input));
      const { history } = seen;
      const pending =
        history !== null && 'unappliedMigrationNames' in history ? history.unappliedMigrationNames : [];
      return { pending, failed: seen.failedMigrationNames, edited: seen.editedMigrationNames };
    },
    async resolveApplied(bundle, migrationName) {
      const input = { migrationName, migrationsList: toList(bundle) };
      await withEngine(url, (engine) => engine.markMigrationApplied(input));
    },
    async resolveRolledBack(migrationName) {
      await withEngine(url, (engine) => engine.markMigrationRolledBack({ migrationName }));
    },
    async createSql(schema, earlier) {
      const { stdout } = await withEngine(url, (engine) =>
        engine.diff({
          from: earlier === undefined ? { tag: 'empty' } : datamodel(earlier),
          to: datamodel(schema),
          script: true,
          exitCode: null,
          filters,
        }),
      );
      return stdout ?? '';
    },
  };
}

const datamodel = (content: string) => ({
  tag: 'schemaDatamodel' as const,
  files: [{ path: 'schema.prisma', content }],
});

async function withEngine<T>(url: string, work: (engine: SchemaEngine) => Promise<T>): Promise<T> {
  loaded ??= load();
  const { SchemaEngine: Engine } = await loaded;
  const pool = new pg.Pool({ connectionString: url });
  try {
    const factory = bindMigrationAwareSqlAdapterFactory(new PrismaPg(pool));
    const engine = await Engine.new({ datamodels: undefined }, () => {}, factory);
    try {
      return await work(engine);
    } finally {
      engine.free();
    }
  } finally {
    await pool.end();
  }
}

const filters = { externalTables: [], externalEnums: [] };

const toList = (bundle: Bundle): MigrationList => ({
  baseDir: 'migrations',
  lockfile: { path: 'migration_lock.toml', content: 'provider = "postgresql"\n' },
  shadowDbInitScript: '',
  migrationDirectories: bundle.migrations.map(({ name, sql }) => ({
    path: name,
    migrationFile: { path: 'migration.sql', content: { tag: 'ok', value: sql.toString('utf8') } },
  })),
});
