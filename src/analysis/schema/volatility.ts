import { type Node, qualified, strings, visitNodes } from '../../sql/tree.ts';
import type { Schema } from './schema.ts';

/**
 * PostgreSQL's own functions, and those of the extensions in use, whose every call gives another value: as a default
 * they have to be called for every row, so that ADD COLUMN writes the table anew. `now()` is not among them: it is the
 * same for the whole statement. Source: pg_proc.provolatile of PostgreSQL 18, pgcrypto, uuid-ossp, pg_uuidv7, pgx_ulid.
 */
const volatile = new Set([
  'clock_timestamp',
  'currval',
  'gen_random_bytes',
  'gen_random_ulid',
  'gen_random_uuid',
  'gen_salt',
  'gen_ulid',
  'generate_ulid',
  'lastval',
  'nextval',
  'pg_sleep',
  'random',
  'random_normal',
  'setval',
  'timeofday',
  'ulid_generate',
  'uuid_generate_v1',
  'uuid_generate_v1mc',
  'uuid_generate_v4',
  'uuid_generate_v7',
  'uuidv4',
  'uuidv7',
]);

/** The functions of an expression that are volatile, by name; an expression of constants has none. */
export function volatileFunctions(expression: Node | null, schema: Schema): string[] {
  const found = new Set<string>();
  visitNodes(expression, (kind, value) => {
    if (kind !== 'FuncCall') return;
    const name = qualified(strings(value.funcname as Node[]));
    const own = schema.functions.get(schema.functionKey(name));
    if (own === undefined ? volatile.has(name.name) : own.volatility === 'volatile') found.add(name.name);
  });
  return [...found];
}
