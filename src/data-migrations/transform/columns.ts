import type { Session } from '../../db/session.ts';

/** How a column's values are in JavaScript. */
export type Codec =
  | { readonly kind: 'boolean' | 'bigint' | 'numeric' | 'text' | 'instant' | 'json' | 'jsonb' | 'bytes' }
  /** A number without a fraction, within these. */
  | { readonly kind: 'integer'; readonly least: number; readonly most: number }
  | { readonly kind: 'float'; readonly single: boolean }
  | { readonly kind: 'array'; readonly of: Codec };

export interface Column {
  readonly name: string;
  /** As PostgreSQL prints it: `character varying(20)`. */
  readonly type: string;
  readonly codec: Codec;
}

/** Of pg_type. Every type that is not here is text, as PostgreSQL prints it. */
const codecs: Readonly<Record<string, Codec>> = {
  bool: { kind: 'boolean' },
  int2: { kind: 'integer', least: -32_768, most: 32_767 },
  int4: { kind: 'integer', least: -2_147_483_648, most: 2_147_483_647 },
  oid: { kind: 'integer', least: 0, most: 4_294_967_295 },
  int8: { kind: 'bigint' },
  float4: { kind: 'float', single: true },
  float8: { kind: 'float', single: false },
  numeric: { kind: 'numeric' },
  timestamptz: { kind: 'instant' },
  json: { kind: 'json' },
  jsonb: { kind: 'jsonb' },
  bytea: { kind: 'bytes' },
};

const text: Codec = { kind: 'text' };

/**
 * Settings under which PostgreSQL prints values so that they can be read back as they were. Both sessions of a transfer
 * have them, whatever the role's or the database's own are.
 */
export async function prepareTransfer(session: Session): Promise<void> {
  await session.query(
    `set client_encoding = 'UTF8'; set datestyle = 'ISO, YMD'; set intervalstyle = 'postgres';
     set extra_float_digits = 1; set bytea_output = 'hex'`,
  );
}

/**
 * The columns of a query, of which nothing is run.
 * @param query a SELECT without LIMIT
 * @throws AppError by SQLSTATE where PostgreSQL refuses it
 */
export async function describeColumns(session: Session, query: string): Promise<readonly Column[]> {
  const { fields } = await session.query(`select * from (${query}) as described limit 0`);
  const { rows } = await session.query<TypeRow>(
    `select field.name, pg_catalog.format_type(field.type, field.modifier) as type,
            typ.typname as base, member.typname as member, member.typdelim as delimiter
       from rows from (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::oid[]), pg_catalog.unnest($3::integer[])) with ordinality
              as field (name, type, modifier, position)
       join pg_catalog.pg_type typ on typ.oid = field.type
       left join pg_catalog.pg_type array_member on array_member.oid = typ.typelem and typ.typsubscript = 'pg_catalog.array_subscript_handler'::pg_catalog.regproc
       left join pg_catalog.pg_type member on member.oid = case when array_member.typtype = 'd' then array_member.typbasetype else array_member.oid end
      order by field.position`,
    [fields.map(({ name }) => name), fields.map(({ type }) => type), fields.map(({ modifier }) => modifier)],
  );
  return rows.map((row) => ({ name: row.name, type: row.type, codec: codecOf(row) }));
}

interface TypeRow {
  name: string;
  type: string;
  base: string;
  /** Of an array's members; null where it is no array. */
  member: string | null;
  delimiter: string | null;
}

/** Members that are JSON stay text: within an array nothing would tell a null of JSON from one of SQL. */
function codecOf({ base, member, delimiter }: TypeRow): Codec {
  if (member === null) return codecs[base] ?? text;
  if (delimiter !== ',') return text;
  const of = codecs[member] ?? text;
  return { kind: 'array', of: of.kind === 'json' || of.kind === 'jsonb' ? text : of };
}
