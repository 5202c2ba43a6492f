import type { BackupStore } from './stores/define-store.ts';

/** What a backup is, beside it in the store as JSON. A dump without one is not known to be good. */
export interface Manifest {
  readonly format: 1;
  readonly database: string;
  /** `host:port/database` */
  readonly source: string;
  readonly requestedBy: string;
  readonly jobId: string;
  readonly serverVersion: string;
  readonly programVersion: string;
  /** Size of the database when the dump began, indexes included. */
  readonly databaseBytes: number;
  /** The migration applied last when the dump began, or null where there is no history. */
  readonly lastMigration: string | null;
  readonly key: string;
  readonly bytes: number;
  readonly sha256: string;
  readonly startedAt: string;
  readonly finishedAt: string;
  readonly durationMs: number;
  /** What is known of its being good. */
  readonly verification: {
    /** Read back from the store to its end by pg_restore, with the same SHA-256. It has not been restored. */
    readonly method: 'read back';
    readonly verifiedAt: string;
    readonly durationMs: number;
  };
}

export const dumpKey = (database: string, id: string): string => `${database}/${id}.dump`;

export const manifestKey = (key: string): string => key.replace(/\.dump$/, '.json');

export async function writeManifest(
  store: BackupStore,
  manifest: Manifest,
  signal: AbortSignal,
): Promise<void> {
  const text = `${JSON.stringify(manifest, null, 2)}\n`;
  await store.put(manifestKey(manifest.key), chunks(text), signal);
}

async function* chunks(text: string): AsyncGenerator<Buffer> {
  yield Buffer.from(text);
}
