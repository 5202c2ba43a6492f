import { quoteIdentifier } from '../db/quote.ts';
import type { Session } from '../db/session.ts';

/** What an earlier file set for its session ends here. DISCARD ALL would do it, and drop our locks. */
export const freshSettings = (session: Session, schema: string): string[] => [
  'reset session authorization',
  'reset role',
  'reset all',
  'deallocate all',
  'discard temp',
  `set search_path = ${quoteIdentifier(schema)}`,
  'set statement_timeout = 0',
  ...(session.ownSettings === '' ? [] : [session.ownSettings]),
];
