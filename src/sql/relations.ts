/** A relation as a statement names it; without a schema it is looked up along the search_path. */
export interface RelationName {
  readonly schema: string | null;
  readonly name: string;
}

/** Keys of PostgreSQL's parse tree under which a relation stands that the statement locks for more than reading. */
const lockingKeys = new Set(['relation', 'relations', 'rels', 'pktable', 'table', 'pubtable']);
/** Parts in which relations are only read. */
const readingKeys = new Set([
  'query',
  'selectStmt',
  'fromClause',
  'usingClause',
  'whereClause',
  'withClause',
  'sourceRelation',
]);
const droppedRelations = new Set([
  'OBJECT_TABLE',
  'OBJECT_INDEX',
  'OBJECT_VIEW',
  'OBJECT_MATVIEW',
  'OBJECT_SEQUENCE',
  'OBJECT_FOREIGN_TABLE',
]);

type Node = Readonly<Record<string, unknown>>;
const isNode = (value: unknown): value is Node =>
  value !== null && typeof value === 'object' && !Array.isArray(value);

/**
 * The relations which a parsed statement alters, drops, indexes, writes or references by a new foreign key;
 * not those that it only selects from.
 */
export function lockedRelations(statement: unknown): RelationName[] {
  const found = new Map<string, RelationName>();
  const add = (relation: RelationName): void => {
    found.set(JSON.stringify([relation.schema, relation.name]), relation);
  };
  walk(statement, false, add);
  return [...found.values()];
}

function walk(value: unknown, locking: boolean, add: (relation: RelationName) => void): void {
  if (Array.isArray(value)) {
    for (const item of value) walk(item, locking, add);
    return;
  }
  if (!isNode(value)) return;
  if (locking && typeof value.relname === 'string')
    add({ schema: asText(value.schemaname), name: value.relname });
  if (typeof value.removeType === 'string' && droppedRelations.has(value.removeType))
    for (const object of asList(value.objects)) addDropped(object, add);
  for (const [key, item] of Object.entries(value)) {
    if (readingKeys.has(key)) continue;
    // `relation: {…}` holds the range variable itself, `relations: [{RangeVar: {…}}]` holds it one node deeper.
    walk(item, lockingKeys.has(key) || (locking && (key === 'RangeVar' || key === 'VacuumRelation')), add);
  }
}

function addDropped(object: unknown, add: (relation: RelationName) => void): void {
  const list = isNode(object) && isNode(object.List) ? asList(object.List.items) : [];
  const parts = list.flatMap((item) =>
    isNode(item) && isNode(item.String) ? [asText(item.String.sval) ?? ''] : [],
  );
  const name = parts.at(-1);
  if (name !== undefined) add({ schema: parts.at(-2) ?? null, name });
}

const asText = (value: unknown): string | null => (typeof value === 'string' ? value : null);
const asList = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
