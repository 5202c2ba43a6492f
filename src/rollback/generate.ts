/**
 * Generates the way back of a migration from its execution: what was renamed is named back, the rest is the difference
 * of the two schemas as PostgreSQL's catalogue has them.
 */
import type { Session } from '../db/session.ts';
import { restoreMarker } from '../migrations/reversal-text.ts';
import { differenceOf, readStateIn, type SchemaState } from '../schema/difference.ts';
import { arrange } from './arrange.ts';
import type { Identity } from './identities.ts';
import { findImpostors, withoutAsides } from './impostors.ts';
import { findObstacles } from './obstacles.ts';
import { retypedPartitionKeys } from './partition-keys.ts';
import { partitionsOwn } from './partitions.ts';
import { inverseRenames } from './renames.ts';
import type { Rollback } from './sources.ts';

export interface GenerateInput {
  /** In the database with the migration applied: the renames are taken back in it, which is then undone. */
  readonly session: Session;
  readonly before: SchemaState;
  readonly after: SchemaState;
  readonly identitiesBefore: ReadonlyMap<string, Identity>;
  readonly identitiesAfter: ReadonlyMap<string, Identity>;
}

/** @throws AppError when the database cannot be worked with */
export async function generateRollback(input: GenerateInput): Promise<Rollback> {
  const { session, before } = input;
  const renames = inverseRenames(input.identitiesBefore, input.identitiesAfter);
  const impostors = findImpostors(input.identitiesBefore, input.identitiesAfter);
  const all = [...impostors.map(({ rename }) => `${rename};`), ...renames];
  const named = all.length === 0 ? input.after : await changed(session, all, readAfter);
  const first = differenceOf(named, before).statements;
  const obstacles = await changed(session, all, () => findObstacles(session, first));
  const after = obstacles.length === 0 ? named : await changed(session, [...all, ...obstacles], readAfter);
  const { statements, unsupported, drops } = differenceOf(after, before);
  const arranged = await arrange(statements, {
    session,
    now: after,
    wanted: before,
    asides: new Set(impostors.map(({ aside }) => aside)),
  });
  const kept = new Set([...input.identitiesBefore.values()].map(nameIn(input.identitiesBefore)));
  const lost = [
    ...drops.tables.filter((table) => kept.has(`table ${table}`)).map((table) => `the table ${table}`),
    ...drops.columns
      .filter(
        ({ table, column }) => kept.has(`column ${table}.${column}`) && !isComputed(before, table, column),
      )
      .map(({ table, column }) => `the column ${table}.${column}`),
  ];
  const parts = [
    renames,
    arranged.retypes ? [early] : [],
    [...obstacles, ...withoutAsides(arranged.before, impostors)],
    arranged.retypes || arranged.behind.length > 0 ? [late] : [],
    arranged.behind,
  ];
  const retypedKeys = await changed(session, [...all, ...obstacles], () =>
    retypedPartitionKeys(session, statements),
  );
  const own = await changed(session, [], () => partitionsOwn(session, textOf(parts), before));
  return {
    source: 'generated',
    sql: textOf([...parts, own]),
    refusals: [
      ...lost.map(
        (what) => `It would drop ${what}, which the migration did not create: its data would be gone.`,
      ),
      ...retypedKeys,
      ...unsupported.map((what) => `The difference of the schemas cannot be expressed: ${what}.`),
    ],
  };
}

const early = `-- Here changes of rows are undone that can be, while columns have the types in which they were made.
${restoreMarker}`;

const late = `-- Here the data comes back that was kept. What stands below needs it.
${restoreMarker}`;

const textOf = (parts: readonly (readonly string[])[]): string =>
  parts
    .filter((statements) => statements.length > 0)
    .map((statements) =>
      dropsAtOnce(statements)
        .map((sql) => (sql.startsWith('--') ? sql : `${sql.replace(/;\s*$/, '')};`))
        .join('\n'),
    )
    .join('\n\n');

/** Tables that are dropped one after the other are one statement: what depends on them is looked for once. */
function dropsAtOnce(statements: readonly string[]): string[] {
  const joined: string[] = [];
  for (const sql of statements) {
    const last = joined.at(-1) ?? '';
    const table = droppedTable.exec(sql)?.[1];
    if (table !== undefined && droppedTables.test(last)) joined.splice(-1, 1, `${last}, ${table}`);
    else joined.push(sql);
  }
  return joined;
}

const quoted = '"(?:[^"]|"")*"';
const droppedTable = new RegExp(`^DROP TABLE (${quoted}\\.${quoted})$`);
const droppedTables = new RegExp(`^DROP TABLE ${quoted}\\.${quoted}(?:, ${quoted}\\.${quoted})*$`);

/** Its values are made of those of other columns. */
const isComputed = ({ fingerprint }: SchemaState, table: string, column: string): boolean =>
  / (stored|virtual) as /.test(fingerprint.facts.get(`column ${table}.${column}`) ?? '');

const readAfter = (session: Session): Promise<SchemaState> => readStateIn(session, { within: true });

/** Looks at the schema as statements would leave it. */
async function changed<T>(
  session: Session,
  statements: readonly string[],
  look: (session: Session) => Promise<T>,
): Promise<T> {
  await session.query('begin');
  try {
    if (statements.length > 0) await session.query(statements.join(';\n'));
    return await look(session);
  } finally {
    await session.query('rollback');
  }
}

/** `table public.users`, `column public.users.email`, as the difference names what it drops. */
const nameIn =
  (identities: ReadonlyMap<string, Identity>) =>
  ({ kind, schema, name, parent }: Identity): string => {
    const table = parent === null ? undefined : identities.get(parent)?.name;
    return `${kind} ${schema}.${table === undefined ? '' : `${table}.`}${name}`;
  };
