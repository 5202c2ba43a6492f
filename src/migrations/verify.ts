import { qualify } from '../db/quote.ts';
import type { Session } from '../db/session.ts';

/** One thing that was looked at after a deployment, and what was seen. */
export interface VerificationCheck {
  readonly name: 'history' | 'indexes';
  readonly status: 'pass' | 'fail';
  readonly detail: string;
}

export interface VerificationRequest {
  readonly session: Session;
  readonly schema: string;
  /** The migrations that the deployment applied. */
  readonly applied: readonly { readonly name: string; readonly checksum: string }[];
  /** What `invalidIndexes` found before the deployment: those are not this deployment's doing. */
  readonly invalidBefore: readonly string[];
}

/** Looks whether the database is as the plan says, in Prisma's eyes and in PostgreSQL's. Reads only. */
export async function verify(request: VerificationRequest): Promise<VerificationCheck[]> {
  return [await verifyHistory(request), await verifyIndexes(request)];
}

/** Looks whether what was taken back is so, in Prisma's eyes and in PostgreSQL's. Reads only. */
export async function verifyTakenBack(request: {
  readonly session: Session;
  readonly schema: string;
  /** The history's rows that were taken back. */
  readonly takenBack: readonly { readonly name: string; readonly historyId: string }[];
  readonly invalidBefore: readonly string[];
}): Promise<VerificationCheck[]> {
  const { session, schema, takenBack } = request;
  const { rows } = await session.query<{ name: string }>(
    `select migration_name as name from ${qualify(schema, '_prisma_migrations')}
      where id = any ($1::text[]) and rolled_back_at is null`,
    [takenBack.map(({ historyId }) => historyId)],
  );
  const history: VerificationCheck =
    rows.length === 0
      ? {
          name: 'history',
          status: 'pass',
          detail: `_prisma_migrations holds all ${takenBack.length} as rolled back.`,
        }
      : {
          name: 'history',
          status: 'fail',
          detail: `_prisma_migrations does not hold as rolled back: ${rows.map(({ name }) => name).join(', ')}.`,
        };
  return [history, await verifyIndexes(request)];
}

/** To Prisma a migration is applied when a row of its name is finished and not rolled back. */
async function verifyHistory({ session, schema, applied }: VerificationRequest): Promise<VerificationCheck> {
  const { rows } = await session.query<{ name: string }>(
    `select wanted.name
       from unnest($1::text[], $2::text[]) as wanted(name, checksum)
      where not exists (
            select from ${qualify(schema, '_prisma_migrations')} h
             where h.migration_name = wanted.name and h.checksum = wanted.checksum
               and h.finished_at is not null and h.rolled_back_at is null)`,
    [applied.map((migration) => migration.name), applied.map((migration) => migration.checksum)],
  );
  return rows.length === 0
    ? {
        name: 'history',
        status: 'pass',
        detail: `_prisma_migrations holds all ${applied.length} as applied.`,
      }
    : {
        name: 'history',
        status: 'fail',
        detail: `_prisma_migrations does not hold as applied: ${rows.map((row) => row.name).join(', ')}.`,
      };
}

async function verifyIndexes({
  session,
  invalidBefore,
}: Pick<VerificationRequest, 'session' | 'invalidBefore'>): Promise<VerificationCheck> {
  const known = new Set(invalidBefore);
  const invalid = (await invalidIndexes(session)).filter((index) => !known.has(index));
  return invalid.length === 0
    ? { name: 'indexes', status: 'pass', detail: 'No index was left invalid.' }
    : {
        name: 'indexes',
        status: 'fail',
        detail: `Invalid, so not used by queries but updated by writes: ${invalid.join(', ')}. Drop and build again.`,
      };
}

/** Indexes that queries may not use: what a CONCURRENTLY build leaves behind when it fails. */
export async function invalidIndexes(session: Session): Promise<string[]> {
  const { rows } = await session.query<{ index: string }>(
    `select n.nspname || '.' || c.relname as index
       from pg_catalog.pg_index i
       join pg_catalog.pg_class c on c.oid = i.indexrelid
       join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where not i.indisvalid and c.relkind = 'i' and n.nspname !~ '^pg_'
      order by 1`,
  );
  return rows.map((row) => row.index);
}
