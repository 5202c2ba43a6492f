/** Tries the way back of texts on the run's server. */
import { randomUUID } from 'node:crypto';
import { expect, inject } from 'vitest';
import { parseTarget } from '../../src/db/target.ts';
import { type ProveInput, type ProvenMigration, proveMigrations } from '../../src/rollback/prove.ts';
import { onShared } from '../support/postgres.ts';

type Files = Readonly<Record<string, string>>;

/** Each text is a migration, by its number from 1 on; a pair has files beside it. Nothing is left behind. */
export async function prove(
  texts: readonly (string | readonly [string, Files])[],
  more: Partial<Pick<ProveInput, 'since' | 'rows' | 'from' | 'server'>> = {},
): Promise<ProvenMigration[]> {
  const migrations = texts.map((text, number) => {
    const [sql, files] = typeof text === 'string' ? [text, {}] : text;
    return { name: String(number + 1), sql, files: new Map(Object.entries(files)) };
  });
  const jobId = randomUUID();
  const tried: ProvenMigration[] = [];
  const proofs = proveMigrations({
    server: parseTarget(inject('postgresUrl')),
    from: 'empty',
    rows: 'generated',
    migrations,
    jobId,
    signal: new AbortController().signal,
    ...more,
  });
  for await (const one of proofs) tried.push(one);
  const { rows } = await onShared((client) =>
    client.query('select datname from pg_database where datname like $1', [`%${jobId.replaceAll('-', '')}%`]),
  );
  expect(rows).toEqual([]);
  return tried;
}
