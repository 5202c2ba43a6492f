/**
 * Generates the way back of a migration from its execution: what was renamed is named back, the rest is the difference
 * of the two schemas as PostgreSQL's catalogue has them.
 */
import { difference, readState, type SchemaState } from '../schema/difference.ts';
import type { Scratch } from '../schema/scratch.ts';
import type { Identity } from './identities.ts';
import { inverseRenames } from './renames.ts';
import type { Rollback } from './sources.ts';

export interface GenerateInput {
  /** A copy of the database with the migration applied, to be spoilt: the renames are taken back in it. */
  readonly applied: Scratch;
  readonly before: SchemaState;
  readonly after: SchemaState;
  readonly identitiesBefore: ReadonlyMap<string, Identity>;
  readonly identitiesAfter: ReadonlyMap<string, Identity>;
  readonly applicationName: string;
}

/** @throws AppError when the scratch database cannot be worked with */
export async function generateRollback(input: GenerateInput): Promise<Rollback> {
  const { applied, before, applicationName } = input;
  const renames = inverseRenames(input.identitiesBefore, input.identitiesAfter);
  const after = renames.length === 0 ? input.after : await renamed(applied, renames, applicationName);
  const { statements, boundaries, unsupported, drops } = await difference(after, before, { applicationName });
  const kept = new Set([...input.identitiesBefore.values()].map(nameIn(input.identitiesBefore)));
  const lost = [
    ...drops.tables.filter((table) => kept.has(`table ${table}`)).map((table) => `the table ${table}`),
    ...drops.columns
      .filter(({ table, column }) => kept.has(`column ${table}.${column}`))
      .map(({ table, column }) => `the column ${table}.${column}`),
  ];
  return {
    source: 'generated',
    sql: [...renames, ...withBoundaries(statements, boundaries)].join('\n'),
    refusals: [
      ...lost.map(
        (what) => `It would drop ${what}, which the migration did not create: its data would be gone.`,
      ),
      ...unsupported.map((what) => `The difference of the schemas cannot be expressed: ${what}.`),
    ],
  };
}

/** The schema with the renames taken back. */
async function renamed(
  applied: Scratch,
  renames: readonly string[],
  applicationName: string,
): Promise<SchemaState> {
  const session = await applied.open();
  try {
    await session.query(`begin; ${renames.join('\n')} commit;`);
  } finally {
    await session.close();
  }
  return readState(applied.target, { applicationName });
}

/** `table public.users`, `column public.users.email`, as the difference names what it drops. */
const nameIn =
  (identities: ReadonlyMap<string, Identity>) =>
  ({ kind, schema, name, parent }: Identity): string => {
    const table = parent === null ? undefined : identities.get(parent)?.name;
    return `${kind} ${schema}.${table === undefined ? '' : `${table}.`}${name}`;
  };

/** A new label of an enum has to be committed before it is used. */
const withBoundaries = (statements: readonly string[], boundaries: readonly number[]): string[] =>
  statements.flatMap((sql, index) => {
    const statement = `${sql.replace(/;\s*$/, '')};`;
    return boundaries.includes(index) ? ['COMMIT;', 'BEGIN;', statement] : [statement];
  });
