import type { ChangeOf } from '../changes/change.ts';
import type { Context } from '../context.ts';
import { defineRule, type Finding } from '../define-rule.ts';
import { listed, lockOn, oneLine } from '../phrases.ts';
import { hasAlike } from '../schema/inherit.ts';

export const indexWithoutConcurrently = defineRule({
  id: 'index-without-concurrently',
  severity: 'caution',
  effect: 'indexBuild',
  summary: 'CREATE INDEX on an existing table without CONCURRENTLY, also by ATTACH PARTITION',
  why: 'Building an index reads and sorts the whole table under SHARE: reads go on, every INSERT, UPDATE and DELETE waits until the build has ended. CONCURRENTLY reads the table twice under a lock that blocks neither. It cannot run inside a transaction, so it belongs in a migration of its own. ATTACH PARTITION builds what the partition lacks of its table’s indexes, while nobody reads or writes the partition.',
  peers: [
    'squawk: require-concurrent-index-creation',
    'postgres-language-server: requireConcurrentIndexCreation',
    'eugene: E6',
    'strong_migrations: add_index non-concurrent',
    'strong_migrations: add_reference',
    'online_migrations: add_index',
    'online_migrations: add_reference',
    'Atlas: PG101',
    'pg-schema-diff: INDEX_BUILD',
    'pg-schema-diff: ACQUIRES_SHARE_LOCK',
    'Bytebase: index: create-concurrently',
  ],
  on: ['createIndex', 'attachPartition'],
  check(change, context) {
    if (change.kind === 'attachPartition') return attached(change, context);
    const { table, name, concurrently, only } = change;
    if (concurrently || context.isNew(table)) return null;
    const kind = context.table(table)?.kind;
    // Reads go on, and only REFRESH writes.
    if (kind === 'materialized') return null;
    // ON ONLY a partitioned table makes no index but the (empty) parent's.
    if (kind === 'partitioned' && only) return null;
    return {
      table,
      message: `Building the index ${context.quote(name)} holds ${lockOn(context, table, 'SHARE')}, until the whole table has been read and sorted.`,
      remedy:
        kind === 'partitioned'
          ? `Create the index ON ONLY the parent, build it CONCURRENTLY on each partition, and attach those with ALTER INDEX … ATTACH PARTITION.`
          : `In a migration of its own: ${oneLine(context.statement.text).replace(/\bindex\b/i, (word) => `${word} CONCURRENTLY`)};`,
      work: { kind: 'index', table },
    };
  },
});

function attached(
  { table: parent, partition }: ChangeOf<'attachPartition'>,
  context: Context,
): Finding | null {
  const [from, known] = [context.table(parent), context.table(partition)];
  if (from === undefined || known === undefined || context.isNew(partition)) return null;
  const lacking = [...from.indexes].flatMap((key) => {
    const index = context.schema.indexes.get(key);
    return index === undefined || hasAlike(context.schema, known, index) ? [] : [index];
  });
  if (lacking.length === 0) return null;
  const names = listed(lacking.map(({ name }) => context.quote(name)));
  const on = context.name(partition);
  return {
    table: partition,
    message: `Attaching ${on} to ${context.name(parent)} holds ${lockOn(context, partition, 'ACCESS EXCLUSIVE')}, while an index like ${names} is built over it.`,
    remedy: `Before that, in a migration of its own, build on ${on} with CREATE INDEX CONCURRENTLY what ${names} ${lacking.length === 1 ? 'has' : 'have'} on ${context.name(parent)}: then it becomes part of that.`,
    work: { kind: 'index', table: partition },
  };
}
