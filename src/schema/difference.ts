/** SQL that makes one database's schema that of another. */
import { type Session, withSession } from '../db/session.ts';
import type { Target } from '../db/target.ts';
import { compareFingerprints, type Difference, type Fingerprint, readFingerprint } from './fingerprint.ts';
import { type Model, readModel } from './model.ts';
import { renameNotNulls } from './not-null-names.ts';
import { type Drops, planBetween } from './statements.ts';
import { withVirtual } from './virtual-columns.ts';

export type { Drops };

export interface DifferenceOptions {
  readonly applicationName: string;
  /** As in `FingerprintOptions`. */
  readonly ignore?: readonly string[];
}

export interface SchemaDifference {
  /** In order, one each; they may run in one transaction unless `boundaries` says otherwise. */
  readonly statements: readonly string[];
  /** Numbers of statements before which a transaction must end: they use an enum's value that one before them adds. */
  readonly boundaries: readonly number[];
  /** What differs and is not in the statements, in words. */
  readonly unsupported: readonly string[];
  readonly drops: Drops;
}

/** All that is known of a database's schema at one moment: read once, compared often. */
export interface SchemaState {
  readonly fingerprint: Fingerprint;
  readonly model: Model;
}

/** @throws AppError as `readFingerprint` does */
export function readState(target: Target, options: DifferenceOptions): Promise<SchemaState> {
  const session = { applicationName: options.applicationName, doing: 'reading a schema' };
  return withSession(target, session, (opened) => readStateIn(opened, options));
}

/** The same in a session that is there already, and keeps settings that are made here; `within` its transaction. */
export async function readStateIn(
  session: Session,
  { ignore = [], within = false }: { readonly ignore?: readonly string[]; readonly within?: boolean } = {},
): Promise<SchemaState> {
  return {
    fingerprint: await readFingerprint(session, { ignore }),
    model: await readModel(session, ignore, within),
  };
}

/** What has to be done to `from` to make its schema that of `to`. Both are only read. */
export async function difference(
  from: Target | SchemaState,
  to: Target | SchemaState,
  options: DifferenceOptions,
): Promise<SchemaDifference> {
  const state = (of: Target | SchemaState): Promise<SchemaState> =>
    'fingerprint' in of ? Promise.resolve(of) : readState(of, options);
  const [before, after] = await Promise.all([state(from), state(to)]);
  return differenceOf(before, after);
}

/** The same of what was read before. */
export function differenceOf(before: SchemaState, after: SchemaState): SchemaDifference {
  if (before.fingerprint.hash === after.fingerprint.hash)
    return { statements: [], boundaries: [], unsupported: [], drops: { tables: [], columns: [] } };
  const differences = compareFingerprints(before.fingerprint, after.fingerprint);
  const planned = planBetween(before.model, after.model);
  const { statements, virtual } = withVirtual(planned.statements, after.fingerprint);
  const unseen = differences.filter(
    (one) =>
      (isUnseen(one) && !virtual.has(one.object)) ||
      isOwnerOfBoth(one, before.fingerprint, after.fingerprint),
  );
  return {
    ...planned,
    statements: [...statements, ...renameNotNulls(differences, before, after, planned.drops)],
    unsupported: [...planned.unsupported, ...unseen.map(({ words }) => words)],
  };
}

/** Kinds of facts that pg-delta has no model of, or that it must not touch (their options are secrets). */
const unseenKinds = [
  'access method',
  'base type',
  'cast',
  'clustering',
  'column options',
  'column statistics',
  'column storage',
  'constraint triggers',
  'conversion',
  'default of view',
  'foreign data wrapper',
  'foreign table',
  'index statistics',
  'language',
  'operator',
  'operator class',
  'operator family',
  'server',
  'statistics',
  'text search configuration',
  'text search dictionary',
  'text search parser',
  'text search template',
  'toast options',
  'transform',
];
const unseen = new RegExp(`^(comment on |owner of |grants on )?(${unseenKinds.join('|')}) `);

function isUnseen({ object, before, after: wanted }: Difference): boolean {
  if (unseen.test(object)) return true;
  // A version; whether the extension is there at all is seen.
  if (object.startsWith('extension ')) return before !== null && wanted !== null;
  // Every generated column is a stored one, unless it is made anew.
  return object.startsWith('column ') && / virtual as /.test(wanted ?? '');
}

/** Of what stays another owner: pg-delta takes from him the rights that came with it. */
function isOwnerOfBoth({ object }: Difference, from: Fingerprint, to: Fingerprint): boolean {
  const owned = /^owner of (.*)$/.exec(object)?.[1] ?? '';
  return from.facts.has(owned) && to.facts.has(owned);
}
