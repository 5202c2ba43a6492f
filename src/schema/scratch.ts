/** Throw-away databases: made for one job, dropped by it, or by whoever finds that the job is over. */
import { randomBytes } from 'node:crypto';
import { sqlstateOf } from '../db/errors.ts';
import { quoteIdentifier, quoteLiteral } from '../db/quote.ts';
import { openSession, type Session, type SessionOptions, withSession } from '../db/session.ts';
import type { Target } from '../db/target.ts';
import { AppError } from '../errors.ts';
import { placeSql, readPlace } from './place.ts';

export interface ScratchOptions {
  /** The database whose encoding, locale and settings it takes. */
  readonly like: Target;
  /** The server it is made on, by the URL of one of its databases; the server of `like` where none is given. */
  readonly server?: Target | undefined;
  /** A UUID. It stands in the name, by which a successor finds what a killed worker left. */
  readonly jobId: string;
  /** A database of the same server to begin as a copy of: nobody may be connected to it. Empty where none is given. */
  readonly copyOf?: Scratch;
  readonly applicationName: string;
  readonly now?: () => Date;
}

/** A database of our own that nobody else may connect to. */
export interface Scratch {
  readonly name: string;
  readonly target: Target;
  open(options?: Partial<SessionOptions>): Promise<Session>;
  /** Ends the sessions in it, and drops it. Once it is gone, again is harmless. */
  drop(): Promise<void>;
}

const prefix = 'switchback_scratch_';
const ours = /^switchback_scratch_([0-9a-f]{32})_[0-9a-f]{8}$/;

/**
 * Makes an empty scratch database. The role that connects owns it.
 * @throws AppError `SCRATCH_DENIED`, `STATEMENT_FAILED` (a locale that the server does not have), `DATABASE_UNREACHABLE`
 */
export async function createScratch(options: ScratchOptions): Promise<Scratch> {
  const { like, server = like, applicationName } = options;
  const sessions = { applicationName, doing: 'making a scratch database' };
  const place = await withSession(like, sessions, readPlace);
  const name = `${prefix}${options.jobId.replaceAll('-', '')}_${randomBytes(4).toString('hex')}`;
  if (!ours.test(name)) throw new TypeError(`"${options.jobId}" is no job's id`);
  const now = options.now?.() ?? new Date();
  const comment = JSON.stringify({ job: options.jobId, created: now.toISOString(), by: 'switchback' });
  await withSession(server, sessions, async (session) => {
    await createDatabase(session, name, options.copyOf?.name ?? 'template0', placeSql(place));
    try {
      await session.query(`revoke all on database ${quoteIdentifier(name)} from public`);
      await session.query(`comment on database ${quoteIdentifier(name)} is ${quoteLiteral(comment)}`);
      for (const sql of place.settings(name)) await session.query(sql);
    } catch (error) {
      await dropDatabase(session, name);
      throw error;
    }
  });
  const target = onDatabase(server, name);
  return {
    name,
    target,
    open: (more) => openSession(target, { applicationName, doing: 'rehearsing', ...more }),
    drop: () =>
      withSession(server, { ...sessions, doing: 'dropping a scratch database' }, (session) =>
        dropDatabase(session, name),
      ),
  };
}

async function createDatabase(
  session: Session,
  name: string,
  template: string,
  place: string,
): Promise<void> {
  await session.query(writable);
  try {
    await session.query(
      `create database ${quoteIdentifier(name)} template ${quoteIdentifier(template)} ${place}`,
    );
  } catch (error) {
    if (sqlstateOf(error) !== '42501') throw error;
    throw new AppError(
      'SCRATCH_DENIED',
      `The role ${session.target.user} may not create a database on ${session.target.host}:${session.target.port}. ` +
        `Nothing was changed. Grant it: ALTER ROLE ${quoteIdentifier(session.target.user)} CREATEDB; ` +
        'or name another server for scratch databases.',
      { role: session.target.user, server: `${session.target.host}:${session.target.port}` },
      { cause: error },
    );
  }
}

/** The database that it connects to may be set to read only. */
const writable = 'set default_transaction_read_only = off';

const dropDatabase = async (session: Session, name: string): Promise<void> => {
  await session.query(writable);
  await session.query(`drop database if exists ${quoteIdentifier(name)} with (force)`);
};

export interface Sweep {
  readonly dropped: readonly string[];
  /** What another role owns, or what could not be dropped, and why. */
  readonly left: readonly { readonly name: string; readonly reason: string }[];
}

/**
 * Drops the scratch databases of jobs that are over: what a killed worker left.
 * @param isOver must say no for a job that it does not know: another installation may use the same server
 */
export async function sweepScratches(
  session: Session,
  isOver: (jobId: string) => Promise<boolean>,
): Promise<Sweep> {
  const { rows } = await session.query<{ name: string }>(
    'select datname as name from pg_catalog.pg_database where pg_catalog.starts_with(datname, $1) order by datname',
    [prefix],
  );
  const dropped: string[] = [];
  const left: { name: string; reason: string }[] = [];
  for (const { name } of rows) {
    const job = jobOf(name);
    if (job === null || !(await isOver(job))) continue;
    try {
      await dropDatabase(session, name);
      dropped.push(name);
    } catch (error) {
      if (!(error instanceof AppError) || !session.alive) throw error;
      left.push({ name, reason: error.message });
    }
  }
  return { dropped, left };
}

/** The job that a scratch database was made for, or null for any other database. */
export function jobOf(database: string): string | null {
  const id = ours.exec(database)?.[1];
  return id?.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5') ?? null;
}

/** Another database of the same server. */
function onDatabase(server: Target, database: string): Target {
  const { connectionString, ...config } = server.clientConfig;
  // The driver takes the database from here, where there is one.
  const url = connectionString === undefined ? null : new URL(connectionString);
  if (url !== null) url.pathname = `/${database}`;
  return Object.freeze({
    ...server,
    database,
    clientConfig: { ...config, database, ...(url === null ? {} : { connectionString: url.href }) },
    libpqEnvironment: Object.freeze({ ...server.libpqEnvironment, PGDATABASE: database }),
    display: `${server.host}:${server.port}/${database}`,
  });
}
