import type { Direction } from '../vault/removals.ts';
import {
  appliedSql,
  failSql,
  finishSql,
  type HistoryEntry,
  reopenedSql,
  rollBackSql,
  rolledBackSql,
  startedSql,
  stillAppliedSql,
  takenBackSql,
} from './history.ts';
import { forgetSql, type Intent, intentSql } from './journal.ts';

/** What an attempt writes into history and journal, whichever way it goes. Each list is run as one transaction. */
export interface Ledger {
  readonly direction: Direction;
  readonly entry: HistoryEntry;
  /** Of several transactions: before the first one. The history's row is unfinished from then on, so that Prisma keeps out. */
  begun(intent: Intent): string[];
  /** Before each further one. */
  intent(intent: Intent): string;
  /** As the last of its only transaction. */
  done(): string;
  /** After the last of several transactions. */
  ended(): string[];
  /** It failed, and nothing of it is left. */
  undone(opened: boolean, logs: string): string[];
  /** It failed, and something of it is left. */
  failed(logs: string): string;
}

/** Of applying a migration. */
export const forth = (schema: string, entry: HistoryEntry): Ledger => ({
  direction: 'forth',
  entry,
  begun: (intent) => [startedSql(schema, entry), intentSql(entry.id, intent)],
  intent: (intent) => intentSql(entry.id, intent),
  done: () => appliedSql(schema, entry),
  ended: () => [forgetSql(entry.id), finishSql(schema, entry.id)],
  undone: (opened, logs) =>
    opened
      ? [forgetSql(entry.id), rollBackSql(schema, entry.id, logs)]
      : [rolledBackSql(schema, entry, logs)],
  failed: (logs) => failSql(schema, entry.id, logs),
});

/** Of taking one back. `text` is the checksum of what is run: an attempt is gone on with only where it is the same. */
export const back = (schema: string, entry: HistoryEntry, text: string): Ledger => ({
  direction: 'back',
  entry,
  begun: (intent) => [intentSql(entry.id, intent, { schema, text }), reopenedSql(schema, entry.id)],
  intent: (intent) => intentSql(entry.id, intent, { schema, text }),
  done: () => takenBackSql(schema, entry.id),
  ended: () => [stillAppliedSql(schema, entry.id), takenBackSql(schema, entry.id), forgetSql(entry.id)],
  undone: (opened) => (opened ? [stillAppliedSql(schema, entry.id), forgetSql(entry.id)] : []),
  failed: (logs) => failSql(schema, entry.id, logs),
});
