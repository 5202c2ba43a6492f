import type { Session } from '../db/session.ts';
import { nameEntry, record } from './entry.ts';
import { originOf } from './origins.ts';
import type { VaultContext } from './removals.ts';
import { readSequence } from './table.ts';

/** Keeps where a sequence stands. */
export async function saveSequence(session: Session, oid: number, context: VaultContext): Promise<string> {
  const sequence = await readSequence(session, oid);
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
