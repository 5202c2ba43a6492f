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
  const after = all.length === 0 ? input.after : await renamed(session, all);
  const { statements, unsupported, drops } = differenceOf(after, before);
  const arranged = await arrange(statements, { session, now: after, wanted: before });
  const kept = new Set([...input.identitiesBefore.values()].map(nameIn(input.identitiesBefore)));
  const lost = [
    ...drops.tables.filter((table) => kept.has(`table ${table}`)).map((table) => `the table ${table}`),
    ...drops.columns
      .filter(
        ({ table, column }) => kept.has(`column ${table}.${column}`) && !isComputed(before, table, column),
      )
      .map(({ table, column }) => `the column ${table}.${column}`),
  ];
  return {
    source: 'generated',
    sql: textOf(
      dropsAtOnce([...renames, ...withoutAsides(arranged.before, impostors)]),
      dropsAtOnce(arranged.behind),
    ),
    refusals: [
      ...lost.map(
        (what) => `It would drop ${what}, which the migration did not create: its data would be gone.`,
      ),
      ...unsupported.map((what) => `The difference of the schemas cannot be expressed: ${what}.`),
    ],
  };
}

const marked = `

-- Here the data comes back that was kept. What stands below needs it.
${restoreMarker}

`;

function textOf(before: readonly string[], behind: readonly string[]): string {
  const lines = (statements: readonly string[]): string =>
    statements.map((sql) => `${sql.replace(/;\s*$/, '')};`).join('\n');
  return behind.length === 0 ? lines(before) : `${lines(before)}${marked}${lines(behind)}`.trimStart();
}

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

/** The schema with the renames taken back. */
async function renamed(session: Session, renames: readonly string[]): Promise<SchemaState> {
  await session.query('begin');
  try {
    await session.query(renames.join('\n'));
    return await readStateIn(session, { within: true });
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
