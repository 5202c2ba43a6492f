/** What pg-delta knows of a schema. */
import { type ExtractResult, extract } from '@supabase/pg-delta/extract';
import type { Session } from '../db/session.ts';

export interface Model {
  readonly facts: ExtractResult['factBase'];
  /** Of the server. They are there, whatever a schema has to do with them. */
  readonly roles: readonly string[];
  /** Who reads, and would own what the statements make. */
  readonly role: string;
  /** As in `FingerprintOptions`. */
  readonly ignore: readonly string[];
}

/** The session keeps settings that are made here. `within`: it is in a transaction, and stays there. */
export async function readModel(session: Session, ignore: readonly string[], within = false): Promise<Model> {
  // It sets the search_path by itself, and nothing else that texts depend on.
  await session.query(
    "set jit = off; set timezone = 'UTC'; set datestyle = 'ISO, YMD'; set intervalstyle = 'postgres'; set quote_all_identifiers = off",
  );
  const { factBase } = await extract(poolOf(session, within));
  const { rows } = await session.query<{ role: string; roles: string[] }>(
    'select current_user as role, array(select rolname::text from pg_catalog.pg_roles) as roles',
  );
  return { facts: factBase, roles: rows[0]?.roles ?? [], role: rows[0]?.role ?? '', ignore };
}

/** It asks for a pool, takes one connection of it, here always the same, and makes a transaction, unless there is one. */
function poolOf(session: Session, within: boolean): Parameters<typeof extract>[0] {
  const query = (sql: string): Promise<unknown> =>
    within && /^(BEGIN|COMMIT|ROLLBACK)\b/.test(sql) ? Promise.resolve() : session.query(sql);
  const client = { query, release: () => undefined };
  return { connect: () => Promise.resolve(client) } as unknown as Parameters<typeof extract>[0];
}
