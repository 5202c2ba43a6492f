import { readType } from '../analysis/changes/columns.ts';
import type { Column, ColumnType } from '../analysis/schema/model.ts';
import type { Schema } from '../analysis/schema/schema.ts';
import { isPlainCast } from '../analysis/schema/type-change.ts';
import type { ColumnDef } from '../sql/tree.ts';

/** Types that hold every value of the first, and that PostgreSQL turns back by itself (an assignment cast in pg_cast). */
const wider: Readonly<Record<string, readonly string[]>> = {
  int2: ['int4', 'int8', 'numeric', 'float4', 'float8'],
  int4: ['int8', 'numeric', 'float8'],
  int8: ['numeric'],
  float4: ['float8'],
  varchar: ['text', 'citext'],
  bpchar: ['text', 'varchar', 'citext'],
  text: ['varchar', 'citext'],
  citext: ['text', 'varchar'],
  cidr: ['inet'],
  date: ['timestamp'],
};

/** Whether a type change leaves every value as it was, in such a way that the old type can be had again by naming it. */
export function keepsEveryValue(
  from: Column | undefined,
  column: string,
  { typeName, raw_default: using }: ColumnDef,
  schema: Schema,
): boolean {
  if (from === undefined) return false;
  const to = readType(typeName, schema);
  if (using !== undefined && !isPlainCast(using, { type: to, column }, schema)) return false;
  const old = from.type;
  if (old.array !== to.array || old.schema !== to.schema) return false;
  if (old.name === to.name) return holds(old, to);
  return old.schema === null && to.modifiers.length === 0 && wider[old.name]?.includes(to.name) === true;
}

/** Of the same type: whether the new limits take in the old ones. */
function holds(from: ColumnType, to: ColumnType): boolean {
  const [first, scale = 0] = from.modifiers;
  const [toFirst, toScale = 0] = to.modifiers;
  if (first === toFirst && scale === toScale) return true;
  if (toFirst === undefined) return from.name !== 'bpchar' && from.name !== 'bit';
  if (first === undefined) return false;
  if (from.name === 'numeric') return toScale >= scale && toFirst - toScale >= first - scale;
  return ['varchar', 'bpchar', 'varbit', 'time', 'timetz', 'timestamp', 'timestamptz'].includes(from.name)
    ? toFirst >= first
    : false;
}
