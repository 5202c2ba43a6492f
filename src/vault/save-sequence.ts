import { qualify } from '../db/quote.ts';
import type { Session } from '../db/session.ts';
import { nameEntry, record, type SequenceFact } from './entry.ts';
import { originOf } from './origins.ts';
import type { VaultContext } from './removals.ts';
import { readSequence } from './table.ts';

/** Keeps where a sequence stands. */
export async function saveSequence(session: Session, oid: number, context: VaultContext): Promise<string> {
  return saveFact(session, await readSequence(session, oid), context);
}

/** A sequence's value, as text, and whether it was given out. */
interface Position {
  readonly oid: number;
  readonly lastValue: string;
  readonly isCalled: boolean;
}

/** Where all sequences stand that may be read. */
export async function readPositions(session: Session): Promise<ReadonlyMap<number, Position>> {
  const { rows: sequences } = await session.query<{ oid: number; schema: string; name: string }>(
    `select c.oid, n.nspname as schema, c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where case when c.relkind = 'S' then has_sequence_privilege(c.oid, 'SELECT') end and c.relpersistence <> 't'
        and n.nspname not in ('switchback', 'switchback_vault') order by c.oid`,
  );
  if (sequences.length === 0) return new Map();
  const parts = sequences.map(
    ({ oid, schema, name }) =>
      `select ${oid}::oid as oid, last_value::text as "lastValue", is_called as "isCalled" from ${qualify(schema, name)}`,
  );
  const { rows } = await session.query<Position>(parts.join(' union all '));
  return new Map(rows.map((row) => [row.oid, row]));
}

/** Keeps where sequences stood that do not stand so far any more. @returns the entries' ids */
export async function saveSetBack(
  session: Session,
  before: ReadonlyMap<number, Position>,
  context: VaultContext,
): Promise<string[]> {
  const entries: string[] = [];
  for (const [oid, now] of await readPositions(session)) {
    const then = before.get(oid);
    if (then === undefined || (then.lastValue === now.lastValue && then.isCalled === now.isCalled)) continue;
    const fact = await readSequence(session, oid);
    const way = (BigInt(now.lastValue) - BigInt(then.lastValue)) * BigInt(fact.increment);
    if (way < 0n || (way === 0n && then.isCalled))
      entries.push(
        await saveFact(session, { ...fact, lastValue: then.lastValue, isCalled: then.isCalled }, context),
      );
  }
  return entries;
}

async function saveFact(session: Session, sequence: SequenceFact, context: VaultContext): Promise<string> {
  const { id } = nameEntry('sequence');
  return record(
    session,
    {
      id,
      kind: 'sequence',
      schema: sequence.schema,
      table: sequence.name,
      relation: null,
      facts: { sequences: [sequence] },
      origin: originOf(sequence, [], context.namings),
    },
    context,
  );
}
