import { parseTarget } from '../../db/target.ts';
import {
  differenceOf,
  readStateIn,
  type SchemaDifference,
  type SchemaState,
} from '../../schema/difference.ts';
import { compareFingerprints } from '../../schema/fingerprint.ts';
import { databaseOf } from '../databases.ts';
import type { JobContext } from '../define-job.ts';
import { loadBundle } from '../deployments/bundles.ts';
import { look } from '../deployments/survey.ts';
import { appliedRows } from '../rollbacks/choose-rollback.ts';
import { normalised, replayed } from './expected-schema.ts';

/** Statements that make one schema the other. */
export interface DriftSql {
  readonly sql: string;
  /** What they leave as it is, in words. */
  readonly unsupported: readonly string[];
}

/** A live schema, held against what its applied migrations make. */
export interface Drift {
  readonly database: string;
  readonly drifted: boolean;
  /** Each as the migrations make it → as it is, at most a hundred. */
  readonly differences: readonly string[];
  readonly total: number;
  /** Makes the database what its migrations make. */
  readonly toMigrations: DriftSql;
  /** As a migration, it makes of what the migrations make what the database is. */
  readonly toDatabase: DriftSql;
}

const listed = 100;

/** @throws AppError `DRIFT_UNKNOWN`, `SCRATCH_DENIED`, those of `loadBundle` and `look` */
export async function checkDrift(
  context: JobContext<unknown, 'replay' | 'read' | 'compare'>,
): Promise<Drift> {
  const { deps, job, signal, step } = context;
  const database = databaseOf(deps.config, job.database);
  const bundle = await loadBundle(deps.control, database, undefined);
  const { history, serverVersion } = await look(database, bundle);
  const applied = appliedRows(history.rows).toReversed();
  const request = { ...deps, database, jobId: job.id, signal, serverVersion, applied };
  const expected = await step('replay', () => replayed(request, readStateIn));
  const live = await step('read', async () =>
    expected === null ? null : normalised(request, parseTarget(database.url), readStateIn),
  );
  return step('compare', async () =>
    expected === null || live === null ? noDrift(database.name) : driftBetween(database.name, expected, live),
  );
}

const nothing: DriftSql = { sql: '', unsupported: [] };

const noDrift = (database: string): Drift => ({
  ...{ database, drifted: false, differences: [], total: 0 },
  ...{ toMigrations: nothing, toDatabase: nothing },
});

function driftBetween(database: string, expected: SchemaState, live: SchemaState): Drift {
  const differences = compareFingerprints(expected.fingerprint, live.fingerprint);
  return {
    database,
    drifted: differences.length > 0,
    differences: differences.slice(0, listed).map(({ words }) => words),
    total: differences.length,
    toMigrations: sqlOf(differenceOf(live, expected)),
    toDatabase: sqlOf(differenceOf(expected, live)),
  };
}

const sqlOf = ({ statements, boundaries, unsupported }: SchemaDifference): DriftSql => ({
  // A new label of an enum has to be committed before it is used.
  sql: statements
    .map(
      (sql, index) => `${boundaries.includes(index) ? 'COMMIT;\nBEGIN;\n' : ''}${sql.replace(/;\s*$/, '')};`,
    )
    .join('\n'),
  unsupported,
});
