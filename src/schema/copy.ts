/** Builds a scratch database from a live database's schema. Nothing but the scratch database changes. */
import { findPrograms, type ProgramPlaces, type Programs } from '../db/programs.ts';
import { quoteLiteral } from '../db/quote.ts';
import { type Session, withSession } from '../db/session.ts';
import type { Target } from '../db/target.ts';
import { AppError } from '../errors.ts';
import { readState } from './difference.ts';
import { type DumpEntry, dumpSchema, entriesOf, ownerApart, staysBehind } from './dump.ts';
import { compareFingerprints, readFingerprint } from './fingerprint.ts';
import { renameNotNulls } from './not-null-names.ts';
import { isOwnTrigger } from './own-triggers.ts';
import { createScratch, type Scratch, type ScratchOptions } from './scratch.ts';
import { planBetween } from './statements.ts';
import { withVirtual } from './virtual-columns.ts';

export interface CopyOptions {
  readonly source: Target;
  readonly scratch: Scratch;
  readonly programPlaces: ProgramPlaces;
  readonly lockWaitSeconds: number;
  /** Whether objects belong to whom they do there, and are published as there: `withoutOutward` is what they are else. */
  readonly outward?: boolean;
  readonly applicationName: string;
  readonly signal: AbortSignal;
}

/** What of the schema is not in the copy. */
export interface Leftover {
  /** `EXTENSION vector`, `FOREIGN TABLE public.remote`, or the statement itself. */
  readonly object: string;
  readonly reason: string;
}

export interface SchemaCopy {
  /** How it was made: not every difference between two ways is one between two schemas. */
  readonly by: 'pg_dump' | 'difference';
  /** Extensions that the scratch database's server does not have, or does not let the role create. */
  readonly missingExtensions: readonly string[];
  readonly left: readonly Leftover[];
}

/**
 * Copies the schema: by pg_dump where there is one that fits the server, else by the difference from empty.
 * @throws AppError `SCHEMA_COPY_FAILED`, `DATABASE_UNREACHABLE`, `PERMISSION_DENIED`; the signal's reason
 */
export async function copySchema(options: CopyOptions): Promise<SchemaCopy> {
  const facts = await readSourceFacts(options);
  const programs = await fittingPrograms(options.programPlaces, facts.major);
  const { by, steps, left } =
    programs === null ? await stepsByDifference(options) : await stepsByDump(options, programs);
  const refused = await runSteps(options, [publicSchema(facts), ...steps]);
  // What pg-delta has no model of is in no statement that could have been refused.
  const lacking = by === 'difference' ? await compareWithSource(options, refused) : [];
  const extension = /^EXTENSION (.*)$/;
  return {
    by,
    missingExtensions: refused.flatMap(({ object }) => extension.exec(object)?.[1] ?? []),
    left: [...left, ...refused, ...lacking],
  };
}

interface SourceFacts {
  readonly major: number;
  /** Whether there is a schema `public`, and its comment. */
  readonly public: boolean;
  readonly comment: string | null;
}

const readSourceFacts = ({ source, applicationName }: CopyOptions): Promise<SourceFacts> =>
  withSession(source, { applicationName, doing: 'copying a schema' }, async (session) => {
    const { rows } = await session.query<SourceFacts>(
      `select pg_catalog.current_setting('server_version_num')::int / 10000 as major,
              n.oid is not null as public, pg_catalog.obj_description(n.oid, 'pg_namespace') as comment
         from (select) one left join pg_catalog.pg_namespace n on n.nspname = 'public'`,
    );
    return rows[0] ?? { major: 0, public: true, comment: null };
  });

/** A new database has this schema, and a dump says nothing of it. */
const publicSchema = ({ public: exists, comment }: SourceFacts): Step => ({
  object: 'SCHEMA public',
  sql: exists
    ? `comment on schema public is ${comment === null ? 'null' : quoteLiteral(comment)}`
    : 'drop schema public',
});

async function fittingPrograms(places: ProgramPlaces, major: number): Promise<Programs | null> {
  try {
    return await findPrograms(places, major);
  } catch (error) {
    if (error instanceof AppError && /^PROGRAM_/.test(error.code)) return null;
    throw error;
  }
}

interface Step {
  readonly object: string;
  readonly sql: string;
}

interface Steps {
  readonly by: SchemaCopy['by'];
  readonly steps: readonly Step[];
  readonly left: readonly Leftover[];
}

async function stepsByDump(options: CopyOptions, programs: Programs): Promise<Steps> {
  const entries = entriesOf(await dumpSchema({ ...options, programs })).filter(
    (entry) => !isOwnTrigger(entry),
  );
  const behind = entries.filter(staysBehind);
  return {
    by: 'pg_dump',
    steps: entries.filter((entry) => !staysBehind(entry)).flatMap(stepsOf),
    left: behind.map((entry) => ({
      object: nameOf(entry),
      reason: 'is not copied: it reaches beyond its database',
    })),
  };
}

function stepsOf(entry: DumpEntry): Step[] {
  if (entry.type === 'SETTINGS') return [{ object: nameOf(entry), sql: withoutLimits(entry.sql) }];
  const { made, owner } = ownerApart(entry);
  return [
    ...(made.sql === '' ? [] : [{ object: nameOf(entry), sql: made.sql }]),
    ...(owner === null ? [] : [{ object: `${ownerOf}${nameOf(entry)}`, sql: owner }]),
  ];
}

const ownerOf = 'owner of ';

/** Whether a leftover says nothing about what statements do: to whom something belongs, and who is told of its rows. */
export const isOutward = (object: string): boolean =>
  object.startsWith(ownerOf) || /^PUBLICATION\b/.test(object);

const nameOf = ({ type, schema, name }: DumpEntry): string =>
  `${type} ${schema === '-' || schema === '' ? '' : `${schema}.`}${name}`;

/** A dump begins by taking the session's time limits away; a newer one with limits that older servers do not know. */
const withoutLimits = (sql: string): string => sql.replace(/^SET \w+_timeout = 0;$/gm, '');

/** What pg-delta knows of, but a copy must not have. */
const beyond = ['eventTrigger', 'role', 'membership'];
const published = ['publication', 'publicationRel', 'publicationSchema'];

async function stepsByDifference({
  source,
  scratch,
  outward = false,
  applicationName,
}: CopyOptions): Promise<Steps> {
  const [from, to] = await Promise.all([
    readState(scratch.target, { applicationName }),
    readState(source, { applicationName }),
  ]);
  const { statements, unsupported, drops } = planBetween(
    from.model,
    to.model,
    outward ? beyond : [...beyond, ...published],
  );
  const differences = compareFingerprints(from.fingerprint, to.fingerprint);
  return {
    by: 'difference',
    steps: [
      ...withVirtual(statements, to.fingerprint).statements,
      ...renameNotNulls(differences, from, to, drops),
    ].map((sql) => ({
      object: objectOf(sql),
      sql,
    })),
    left: unsupported.map((reason) => ({ object: 'schema', reason })),
  };
}

function objectOf(sql: string): string {
  const extension = /^CREATE EXTENSION (?:IF NOT EXISTS )?"?([^"\s]+)/.exec(sql)?.[1];
  return extension === undefined ? sql.replace(/\s+/g, ' ').slice(0, 100) : `EXTENSION ${extension}`;
}

/** What is not as it is in the source, but for what a copy never has. */
async function compareWithSource(options: CopyOptions, refused: readonly Leftover[]): Promise<Leftover[]> {
  if (refused.length > 0) return [];
  const sessions = { applicationName: options.applicationName, doing: 'copying a schema' };
  const read = (target: Target) => withSession(target, sessions, (session) => readFingerprint(session));
  const [source, copied] = await Promise.all([read(options.source), read(options.scratch.target)]);
  return compareFingerprints(source, copied)
    .filter(({ object }) => !/^(owner of|(comment on |grants on )?(event trigger|publication)) /.test(object))
    .map(({ object, words }) => ({
      object,
      reason: `not the same in the copy: ${words.slice(object.length + 2)}`,
    }));
}

/** Few enough that their locks find room in the server's table of locks. */
const batchSize = 100;

/** Many at once; where that fails one by one, and what is refused stays behind. */
async function runSteps(options: CopyOptions, steps: readonly Step[]): Promise<Leftover[]> {
  const { signal } = options;
  const session = await options.scratch.open({ doing: 'building a scratch database' });
  try {
    const refused: Leftover[] = [];
    for (let from = 0; from < steps.length; from += batchSize) {
      signal.throwIfAborted();
      const batch = steps.slice(from, from + batchSize);
      if (await runAtOnce(session, batch)) continue;
      for (const step of batch) {
        signal.throwIfAborted();
        const reason = await runOne(session, step);
        if (reason !== null) refused.push({ object: step.object, reason });
      }
    }
    return refused;
  } finally {
    await session.close();
  }
}

/** One text is one transaction: it is all there, or nothing of it. */
const runAtOnce = async (session: Session, batch: readonly Step[]): Promise<boolean> =>
  (await runOne(session, { object: '', sql: batch.map(({ sql }) => sql).join(';\n') })) === null;

async function runOne(session: Session, step: Step): Promise<string | null> {
  try {
    await session.query(step.sql);
    return null;
  } catch (error) {
    if (!(error instanceof AppError) || !session.alive) throw error;
    const { reason } = error.details;
    return typeof reason === 'string' ? reason : error.message;
  }
}

export interface ThroughCopyOptions extends Omit<CopyOptions, 'scratch'> {
  readonly scratch: Omit<ScratchOptions, 'like'>;
}

/**
 * Reads a schema as a copy of it has it. Databases that were built in different ways compare equal only so: a constraint that
 * came through a dump is printed differently.
 * @throws AppError as `createScratch` and `copySchema` do
 */
export async function throughCopy<T>(
  options: ThroughCopyOptions,
  read: (copied: Session) => Promise<T>,
): Promise<T> {
  const scratch = await createScratch({ ...options.scratch, like: options.source });
  try {
    await copySchema({ ...options, scratch });
    const session = await scratch.open({ doing: 'reading a schema' });
    try {
      return await read(session);
    } finally {
      await session.close();
    }
  } finally {
    await scratch.drop();
  }
}
