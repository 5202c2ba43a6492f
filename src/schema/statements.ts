/** The statements that pg-delta makes of two models. */
import { type Action, plan } from '@supabase/pg-delta/plan';
import type { FilterRule, Policy } from '@supabase/pg-delta/policy';
import { columnGrants, makesTwins, mending, superfluous } from './mend.ts';
import type { Model } from './model.ts';
import { ownTriggers } from './own-triggers.ts';

/** What statements remove, and with it data. What is made anew under the same name is removed as well. */
export interface Drops {
  /** `schema.name`, without quotes. */
  readonly tables: readonly string[];
  /** Of tables that stay. */
  readonly columns: readonly { readonly table: string; readonly column: string }[];
}

export interface Planned {
  readonly statements: readonly string[];
  readonly boundaries: readonly number[];
  readonly unsupported: readonly string[];
  readonly drops: Drops;
}

/** @param without kinds of objects (by pg-delta's names) that are left out besides */
export function planBetween(from: Model, to: Model, without: readonly string[] = []): Planned {
  try {
    const { actions, preamble } = plan(from.facts, to.facts, {
      policy: policyFor(from.ignore, without),
      scope: 'database',
      assumedRoles: [...new Set([...from.roles, ...to.roles])],
      compact: !makesTwins(from, to),
    });
    const planned = statementsOf(actions, from, to);
    // Its other setting is a search_path: every name is written with its schema, whatever that is.
    const hasBodies = preamble.some(({ name }) => name === 'check_function_bodies');
    return {
      ...(hasBodies ? withoutLooking(planned) : planned),
      unsupported: actions
        .filter(({ transactionality }) => transactionality === 'nonTransactional')
        .map(({ sql }) => `outside of a transaction: ${sql}`),
      drops: dropsOf(actions),
    };
  } catch (error) {
    // It refuses the whole where it knows of no way for a part.
    const reason = error instanceof Error ? error.message : String(error);
    return {
      statements: [],
      boundaries: [],
      unsupported: [`the whole difference: ${reason}`],
      drops: { tables: [], columns: [] },
    };
  }
}

function statementsOf(
  actions: readonly Action[],
  from: Model,
  to: Model,
): Pick<Planned, 'statements' | 'boundaries'> {
  const isSuperfluous = superfluous(from, actions);
  const mended = mending(from, to);
  const statements: string[] = [];
  const boundaries: number[] = [];
  let boundary = false;
  for (const action of actions) {
    boundary ||= action.newSegmentBefore;
    if (isSuperfluous(action)) continue;
    if (boundary) boundaries.push(statements.length);
    boundary = false;
    statements.push(mended(action));
  }
  return { statements: [...statements, ...columnGrants(to, actions)], boundaries };
}

/** Bodies of functions may name what is made after them. */
const withoutLooking = ({
  statements,
  boundaries,
}: Pick<Planned, 'statements' | 'boundaries'>): Pick<Planned, 'statements' | 'boundaries'> => ({
  statements: ['SET check_function_bodies = off', ...statements, 'RESET check_function_bodies'],
  boundaries: boundaries.map((n) => n + 1),
});

function dropsOf(actions: readonly Action[]): Drops {
  const destroyed = actions.flatMap(({ destroys }) => destroys);
  const tables = new Set(destroyed.flatMap((id) => (id.kind === 'table' ? [`${id.schema}.${id.name}`] : [])));
  const columns = destroyed.flatMap((id) =>
    id.kind === 'column' && !tables.has(`${id.schema}.${id.table}`)
      ? [{ table: `${id.schema}.${id.table}`, column: id.name }]
      : [],
  );
  return { tables: [...tables], columns };
}

/** Their options hold secrets, which pg-delta leaves out: what it would write of them would be wrong. */
const foreign = ['fdw', 'server', 'userMapping', 'foreignTable', 'subscription'];
const ours = ['switchback', 'switchback_vault*'];

/** What is Prisma's, ours, or not to be looked at. */
function policyFor(ignore: readonly string[], without: readonly string[]): Policy {
  const exclude = (match: FilterRule['match']): FilterRule => ({ match, action: 'exclude' });
  return {
    id: 'switchback',
    filter: [
      exclude({ kind: [...foreign, ...without] }),
      exclude({ schema: ours }),
      exclude({ all: [{ kind: 'schema' }, { name: ours }] }),
      exclude(ownTriggers(ours)),
      exclude({ all: [{ kind: 'table' }, { name: '_prisma_migrations' }] }),
      ...ignore.map((pattern) => exclude(matching(pattern))),
    ],
  };
}

/** Objects that have a name of their own in a schema; what belongs to one goes with it. */
const named = [
  ...['table', 'view', 'materializedView', 'sequence', 'collation', 'domain', 'type'],
  ...['function', 'procedure', 'aggregate'],
];

function matching(pattern: string): FilterRule['match'] {
  const dot = pattern.indexOf('.');
  if (dot < 0)
    return { all: [{ kind: ['extension', 'schema', 'eventTrigger', 'publication'] }, { name: pattern }] };
  // Of a function's name and arguments only the name is known here.
  const name = pattern.slice(dot + 1).replace(/\(.*$/, '');
  return { all: [{ kind: named }, { schema: pattern.slice(0, dot) }, { name }] };
}
