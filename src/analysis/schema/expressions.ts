/** What the renaming and dropping of objects does to expressions that name them. */
import { type Node, qualified, strings, visitNodes } from '../../sql/tree.ts';
import type { ColumnType } from './model.ts';

/** The expression with a column called otherwise. */
export const renameColumnIn = (expression: Node, from: string, to: string): Node =>
  mapFields(expression, (key, value) =>
    key === 'ColumnRef' ? { ...value, fields: withLast(value.fields, from, to) } : value,
  );

/** The expression with a type called otherwise. */
export const renameTypeIn = (expression: Node, from: string, to: string): Node =>
  mapFields(expression, (key, value) =>
    key === 'typeName' ? { ...value, names: withLast(value.names, from, to) } : value,
  );

/** Whether it casts to the type. A name without a schema may be anybody's; it is taken for this one's. */
export function mentionsType(expression: Node, schema: string, type: string): boolean {
  let found = false;
  visitNodes(expression, (kind, value) => {
    if (kind !== 'TypeCast') return;
    const { names } = (value.typeName ?? {}) as { names?: Node[] };
    const name = qualified(strings(names));
    if (name.name === type && (name.schema ?? schema) === schema) found = true;
  });
  return found;
}

/** A default stays what it is when its column's type changes: it is made as the old type, then cast to the new one. */
export const castTo = (expression: Node, { schema, name, array }: ColumnType): Node => ({
  TypeCast: {
    arg: expression,
    typeName: {
      names: [...(schema === null ? [] : [schema]), name].map((sval) => ({ String: { sval } })),
      ...(array ? { arrayBounds: [{ Integer: { ival: -1 } }] } : {}),
    },
  },
});

type Fields = Readonly<Record<string, unknown>>;

function mapFields(node: Node, change: (key: string, value: Fields) => Fields): Node {
  const map = (value: unknown, key: string): unknown => {
    if (Array.isArray(value)) return value.map((item) => map(item, ''));
    if (value === null || typeof value !== 'object') return value;
    const inner = Object.fromEntries(Object.entries(value).map(([name, field]) => [name, map(field, name)]));
    return change(key, inner);
  };
  return map(node, '') as Node;
}

/** The last part of a name, where it is the one that is sought. */
function withLast(parts: unknown, from: string, to: string): unknown {
  const nodes = Array.isArray(parts) ? (parts as Node[]) : [];
  return strings(nodes).at(-1) === from ? [...nodes.slice(0, -1), { String: { sval: to } }] : parts;
}
