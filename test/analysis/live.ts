/** A database whose schema is made by statements, read as the analyser reads a live one. */
import pg from 'pg';
import { schemaFrom } from '../../src/analysis/schema/from-catalogue.ts';
import { keyOf, type Schema } from '../../src/analysis/schema/schema.ts';
import type { Catalogue } from '../../src/catalogue.ts';
import { readCatalogue } from '../../src/db/catalogue.ts';
import { withSession } from '../../src/db/session.ts';
import { parseTarget } from '../../src/db/target.ts';

export const catalogueOf = (url: string): Promise<Catalogue> =>
  withSession(parseTarget(url), { applicationName: 'test:catalogue' }, readCatalogue);

export async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** Without the functions that extensions brought, which no statement shows. */
export async function liveSchema(url: string): Promise<Schema> {
  const schema = schemaFrom(await catalogueOf(url), { defaultSchema: 'public' });
  const { rows } = await withClient(url, (client) =>
    client.query<{ schema: string; name: string }>(
      `select n.nspname as schema, p.proname as name from pg_depend d join pg_proc p on p.oid = d.objid
         join pg_namespace n on n.oid = p.pronamespace
        where d.classid = 'pg_proc'::regclass and d.deptype = 'e' and n.nspname <> 'pg_catalog'`,
    ),
  );
  for (const { schema: inSchema, name } of rows) schema.functions.delete(keyOf(inSchema, name));
  return schema;
}
