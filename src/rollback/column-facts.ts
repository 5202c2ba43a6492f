import type { SchemaState } from '../schema/difference.ts';
import { mentions, partsOf, unquoted } from './statement.ts';

/** What a schema has of a column. */
export interface ColumnFacts {
  readonly type: string;
  readonly notNull: boolean;
  /** SQL; null where there is none. */
  readonly defaultValue: string | null;
  readonly isIdentity: boolean;
  readonly inPrimaryKey: boolean;
  /** In any that tells rows apart. */
  readonly inKey: boolean;
}

/** Names are in quotes. Of a column that is not there the type is empty. */
export function columnOf({ model }: SchemaState, table: string, column: string): ColumnFacts {
  const [schema = '', relation = ''] = partsOf(table);
  const name = unquoted(column);
  const { type, notNull, identity } =
    model.facts.get({ kind: 'column', schema, table: relation, name })?.payload ?? {};
  const { expr } = model.facts.get({ kind: 'default', schema, table: relation, name })?.payload ?? {};
  const keys = model.facts
    .childrenOf({ kind: 'table', schema, name: relation })
    .map(({ payload }) => (typeof payload.def === 'string' ? payload.def : ''));
  return {
    type: typeof type === 'string' ? type : '',
    notNull: notNull === true,
    defaultValue: typeof expr === 'string' ? expr : null,
    isIdentity: identity != null,
    inKey: keys.some(
      (key) => /^(PRIMARY KEY |UNIQUE |CREATE UNIQUE INDEX )/.test(key) && mentions(key, column),
    ),
    inPrimaryKey: keys.some((key) => key.startsWith('PRIMARY KEY ') && mentions(key, column)),
  };
}
