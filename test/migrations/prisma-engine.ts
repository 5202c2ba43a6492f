/** Prisma's own schema engine, of the version this project uses, as the judge of what we write into a history. */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { PrismaPg } from '@prisma/adapter-pg';
import { bindMigrationAwareSqlAdapterFactory } from '@prisma/driver-adapter-utils';
import type { MigrationList, SchemaEngine } from '@prisma/schema-engine-wasm';
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
  /** The SQL by which Prisma would make an empty database what a schema.prisma says. */
  createSql(schema: string): Promise<string>;
  free(): void;
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

/** Opens the engine on a database; `free` it, or its connections stay. */
export async function openPrismaEngine(url: string): Promise<PrismaEngine> {
  loaded ??= load();
  const { SchemaEngine } = await loaded;
  const factory = bindMigrationAwareSqlAdapterFactory(new PrismaPg({ connectionString: url }));
  const engine: SchemaEngine = await SchemaEngine.new({ datamodels: undefined }, () => {}, factory);
  return {
    async deploy(bundle) {
      const { appliedMigrationNames } = await engine.applyMigrations({
        migrationsList: toList(bundle),
        filters,
      });
      return appliedMigrationNames;
    },
    async diagnose(bundle) {
      const { history, failedMigrationNames, editedMigrationNames } = await engine.diagnoseMigrationHistory({
        migrationsList: toList(bundle),
        optInToShadowDatabase: false,
        filters,
      });
      const pending =
        history !== null && 'unappliedMigrationNames' in history ? history.unappliedMigrationNames : [];
      return { pending, failed: failedMigrationNames, edited: editedMigrationNames };
    },
    async resolveApplied(bundle, migrationName) {
      await engine.markMigrationApplied({ migrationName, migrationsList: toList(bundle) });
    },
    async resolveRolledBack(migrationName) {
      await engine.markMigrationRolledBack({ migrationName });
    },
    async createSql(schema) {
      const { stdout } = await engine.diff({
        from: { tag: 'empty' },
        to: { tag: 'schemaDatamodel', files: [{ path: 'schema.prisma', content: schema }] },
        script: true,
        exitCode: null,
        filters,
      });
      return stdout ?? '';
    },
    free: () => engine.free(),
  };
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
