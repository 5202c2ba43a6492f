/**
 * Takes renames back. A difference of two schemas sees a rename as a drop and a creation, and the data would be gone
 * though the schema is equal; who kept its identity and changed its name, only the execution shows.
 */
import { quoteIdentifier, quoteLiteral } from '../db/quote.ts';
import type { Identity, IdentityKind } from './identities.ts';

type Identities = ReadonlyMap<string, Identity>;

interface Rename {
  readonly from: Identity;
  readonly to: Identity;
}

/** In this order names that others are qualified with are old again before they are used. */
const order: readonly IdentityKind[] = [
  'schema',
  'type',
  'domain',
  'table',
  'view',
  'materialized view',
  'foreign table',
  'sequence',
  'function',
  'column',
  'constraint',
  'domain constraint',
  'index',
  'label',
  'attribute',
  'trigger',
  'policy',
];

/** SQL that gives everything the name and schema that it had before; none where nothing was renamed. */
export function inverseRenames(before: Identities, after: Identities): string[] {
  const names = new Names(after);
  const renames = order.flatMap((kind) =>
    [...before.values()].flatMap((old): Rename[] => {
      const now = after.get(old.key);
      if (now === undefined || old.kind !== kind) return [];
      return now.name === old.name && now.schema === old.schema ? [] : [{ from: now, to: old }];
    }),
  );
  const statements: string[] = [];
  let aside = 0;
  for (const { from, to } of renames) {
    const now = names.of(from);
    if (now.schema !== to.schema && movable.has(from.kind)) {
      // What has moved with its table or its schema is there already.
      const schema = names.schemaAfter(before, to.schema);
      if (now.schema !== schema) {
        statements.push(
          `ALTER ${words(from.kind)} ${names.full(from)} SET SCHEMA ${quoteIdentifier(schema)};`,
        );
        names.move(from, schema);
      }
    }
    if (names.of(from).name === to.name) continue;
    const occupant = names.occupant(from, to.name);
    if (occupant !== null) {
      // What has taken the name meanwhile, or is to get another one itself, steps aside.
      aside += 1;
      statements.push(names.rename(occupant, `switchback_aside_${aside}`));
    }
    statements.push(names.rename(from, to.name));
  }
  return statements;
}

const movable: ReadonlySet<IdentityKind> = new Set([
  'table',
  'view',
  'materialized view',
  'foreign table',
  'sequence',
  'type',
  'domain',
  'function',
]);

/** What stands behind ALTER. */
const words = (kind: IdentityKind): string => (kind === 'function' ? 'ROUTINE' : kind.toUpperCase());

/** The names as the statements so far have left them. */
class Names {
  readonly #all: Map<string, Identity>;

  constructor(after: Identities) {
    this.#all = new Map(after);
  }

  of(identity: Identity): Identity {
    return this.#all.get(identity.key) ?? identity;
  }

  /** The name that a schema has now which was called so before. */
  schemaAfter(before: Identities, name: string): string {
    const old = [...before.values()].find((one) => one.kind === 'schema' && one.name === name);
    return (old === undefined ? undefined : this.#all.get(old.key)?.name) ?? name;
  }

  /** Whoever has the name where the identity would get it; null where it is free. */
  occupant(identity: Identity, name: string): Identity | null {
    const self = this.of(identity);
    const space = spaceOf(self.kind);
    for (const other of this.#all.values())
      if (
        other.key !== self.key &&
        other.name === name &&
        spaceOf(other.kind) === space &&
        other.parent === self.parent &&
        (self.parent !== null || other.schema === self.schema) &&
        other.argumentTypes === self.argumentTypes
      )
        return other;
    return null;
  }

  move(identity: Identity, schema: string): void {
    const self = this.of(identity);
    this.#all.set(self.key, { ...self, schema });
    // Columns, constraints, triggers, its columns' sequences and the like are where their table is.
    for (const other of this.#all.values())
      if (other.parent === self.key || other.follows === self.key)
        this.#all.set(other.key, { ...other, schema });
  }

  rename(identity: Identity, name: string): string {
    const self = this.of(identity);
    const statement = this.#statement(self, name);
    this.#all.set(self.key, { ...self, name });
    if (self.kind === 'schema')
      for (const other of this.#all.values())
        if (other.schema === self.name) this.#all.set(other.key, { ...other, schema: name });
    return statement;
  }

  full(identity: Identity): string {
    const { kind, schema, name, argumentTypes } = this.of(identity);
    const qualified = `${quoteIdentifier(schema)}.${quoteIdentifier(name)}`;
    return kind === 'function' ? `${qualified}(${argumentTypes})` : qualified;
  }

  #statement(self: Identity, name: string): string {
    const [old, to] = [quoteIdentifier(self.name), quoteIdentifier(name)];
    const parent = self.parent === null ? undefined : this.#all.get(self.parent);
    const on = parent === undefined ? '' : this.full(parent);
    switch (self.kind) {
      case 'schema':
        return `ALTER SCHEMA ${old} RENAME TO ${to};`;
      case 'column':
        return `ALTER ${words(parent?.kind ?? 'table')} ${on} RENAME COLUMN ${old} TO ${to};`;
      case 'constraint':
        return `ALTER TABLE ${on} RENAME CONSTRAINT ${old} TO ${to};`;
      case 'domain constraint':
        return `ALTER DOMAIN ${on} RENAME CONSTRAINT ${old} TO ${to};`;
      case 'label':
        return `ALTER TYPE ${on} RENAME VALUE ${quoteLiteral(self.name)} TO ${quoteLiteral(name)};`;
      case 'attribute':
        return `ALTER TYPE ${on} RENAME ATTRIBUTE ${old} TO ${to};`;
      case 'trigger':
      case 'policy':
        return `ALTER ${words(self.kind)} ${old} ON ${on} RENAME TO ${to};`;
      default:
        return `ALTER ${words(self.kind)} ${this.full(self)} RENAME TO ${to};`;
    }
  }
}

/** Kinds that share their names. */
function spaceOf(kind: IdentityKind): string {
  if (['table', 'view', 'materialized view', 'foreign table', 'sequence', 'index'].includes(kind))
    return 'relation';
  return kind === 'domain' ? 'type' : kind;
}
