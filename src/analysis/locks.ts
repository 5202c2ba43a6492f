/** Which change takes which lock on which table. Source: PostgreSQL manual, 13.3, and AlterTableGetLockLevel in tablecmds.c. */
import { type Change, type ChangeKind, type ChangeOf, type LockMode, lockModes } from './changes/change.ts';
import type { Schema } from './schema/schema.ts';

export interface Lock {
  readonly table: string;
  readonly mode: LockMode;
}

type LocksOf<K extends ChangeKind> = (change: ChangeOf<K>, schema: Schema) => readonly Lock[];

const exclusive = ({ table }: { table: string }): Lock[] => [{ table, mode: 'ACCESS EXCLUSIVE' }];
const writes = ({ table }: { table: string }): Lock[] => [{ table, mode: 'ROW EXCLUSIVE' }];

const locks: { readonly [K in ChangeKind]?: LocksOf<K> } = {
  createTable: ({ parents, constraints, isPartition }) => [
    ...parents.map(
      (table): Lock => ({
        table,
        mode: isPartition ? 'ACCESS EXCLUSIVE' : 'SHARE UPDATE EXCLUSIVE',
      }),
    ),
    ...constraints.flatMap(({ references }): Lock[] =>
      references === null ? [] : [{ table: references, mode: 'SHARE ROW EXCLUSIVE' }],
    ),
  ],
  dropTable: ({ table }, schema) => [
    { table, mode: 'ACCESS EXCLUSIVE' },
    // Dropping a foreign key takes its triggers from the table that it points to.
    ...referencedBy(table, schema).map((other): Lock => ({ table: other, mode: 'ACCESS EXCLUSIVE' })),
  ],
  renameTable: exclusive,
  moveTable: exclusive,
  truncate: exclusive,
  addColumn: ({ table, column }) => [
    { table, mode: 'ACCESS EXCLUSIVE' },
    ...column.constraints.flatMap(({ references }): Lock[] =>
      references === null ? [] : [{ table: references, mode: 'SHARE ROW EXCLUSIVE' }],
    ),
  ],
  dropColumn: exclusive,
  renameColumn: exclusive,
  changeType: exclusive,
  setDefault: exclusive,
  dropDefault: exclusive,
  setNotNull: exclusive,
  dropNotNull: exclusive,
  changeGenerated: exclusive,
  addConstraint: ({ table, constraint }) =>
    constraint.kind === 'foreign' && constraint.references !== null
      ? [
          { table, mode: 'SHARE ROW EXCLUSIVE' },
          { table: constraint.references, mode: 'SHARE ROW EXCLUSIVE' },
        ]
      : [{ table, mode: 'ACCESS EXCLUSIVE' }],
  validateConstraint: ({ table, name }, schema) => {
    const references = schema.tables.get(table)?.constraints.get(name)?.references;
    return [
      { table, mode: 'SHARE UPDATE EXCLUSIVE' },
      ...(references == null ? [] : [{ table: references, mode: 'ROW SHARE' } as const]),
    ];
  },
  dropConstraint: ({ table, name }, schema) => {
    const references = schema.tables.get(table)?.constraints.get(name)?.references;
    return [
      { table, mode: 'ACCESS EXCLUSIVE' },
      ...(references == null ? [] : [{ table: references, mode: 'ACCESS EXCLUSIVE' } as const]),
    ];
  },
  renameConstraint: exclusive,
  attachPartition: ({ table, partition }) => [
    { table, mode: 'SHARE UPDATE EXCLUSIVE' },
    { table: partition, mode: 'ACCESS EXCLUSIVE' },
  ],
  detachPartition: ({ table, partition, concurrently }) => {
    const mode = concurrently ? 'SHARE UPDATE EXCLUSIVE' : 'ACCESS EXCLUSIVE';
    return [
      { table, mode },
      { table: partition, mode },
    ];
  },
  rewriteTable: exclusive,
  refreshView: ({ table, concurrently }) => [
    { table, mode: concurrently ? 'EXCLUSIVE' : 'ACCESS EXCLUSIVE' },
  ],
  setRowSecurity: exclusive,
  switchTrigger: ({ table }) => [{ table, mode: 'SHARE ROW EXCLUSIVE' }],
  alterTable: ({ table, part }) => [
    { table, mode: lightParts.has(part) ? 'SHARE UPDATE EXCLUSIVE' : 'ACCESS EXCLUSIVE' },
  ],
  lockTable: ({ table, mode }) => [{ table, mode }],
  createIndex: ({ table, concurrently }) => [
    { table, mode: concurrently ? 'SHARE UPDATE EXCLUSIVE' : 'SHARE' },
  ],
  dropIndex: ({ index, concurrently }, schema) => {
    const table = schema.indexes.get(index)?.table;
    return table === undefined
      ? []
      : [{ table, mode: concurrently ? 'SHARE UPDATE EXCLUSIVE' : 'ACCESS EXCLUSIVE' }];
  },
  reindex: ({ what, target, concurrently }, schema) => {
    const table = what === 'table' ? target : schema.indexes.get(target)?.table;
    if (table === undefined) return [];
    return [{ table, mode: concurrently ? 'SHARE UPDATE EXCLUSIVE' : 'SHARE' }];
  },
  createTrigger: ({ table }) => [{ table, mode: 'SHARE ROW EXCLUSIVE' }],
  dropTrigger: exclusive,
  insert: writes,
  update: writes,
  delete: writes,
  merge: writes,
  copy: writes,
};

/** Parts of ALTER TABLE that let reads and writes go on. */
const lightParts = new Set([
  'AT_SetStatistics',
  'AT_ClusterOn',
  'AT_DropCluster',
  'AT_SetOptions',
  'AT_ResetOptions',
  'AT_SetRelOptions',
  'AT_ResetRelOptions',
]);

const referencedBy = (table: string, schema: Schema): string[] =>
  [...(schema.tables.get(table)?.constraints.values() ?? [])].flatMap(({ references }) => references ?? []);

/** The table-level locks of a change; none for what only makes something new. */
export function locksOf(change: Change, schema: Schema): readonly Lock[] {
  const of = locks[change.kind] as LocksOf<ChangeKind> | undefined;
  return of?.(change, schema) ?? [];
}

export const strength = (mode: LockMode): number => lockModes.indexOf(mode);

/** What waits while a lock is held. */
export function blockedBy(mode: LockMode): 'reads and writes' | 'writes' | 'nothing' {
  if (mode === 'ACCESS EXCLUSIVE') return 'reads and writes';
  return strength(mode) >= strength('SHARE') ? 'writes' : 'nothing';
}
