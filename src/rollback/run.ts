/** Runs a migration's text in a scratch database: as few transactions as PostgreSQL allows, without any discipline of locks. */
import type { Session } from '../db/session.ts';
import { AppError } from '../errors.ts';
import { cut, type Segment, splitBefore, takeOut } from '../migrations/segments.ts';
import { SyntaxFault } from '../sql/parse.ts';
import { splitStatements } from '../sql/split.ts';

/** What only execution shows: the statement needs a commit before it, or refuses a transaction. */
const needsCommitBefore = new Set(['55P04', '55006', '2D000']);
const refusesTransaction = '25001';

/** @throws AppError `STATEMENT_FAILED` and its like */
export async function runText(session: Session, text: string): Promise<void> {
  let segments: Segment[];
  try {
    segments = cut(splitStatements(text));
  } catch (error) {
    if (!(error instanceof SyntaxFault)) throw error;
    // The server may know what our parser does not.
    await session.query(text);
    return;
  }
  for (let at = 0; at < segments.length; at += 1) {
    const segment = segments[at];
    if (segment === undefined) continue;
    const parts = await runSegment(session, segment, text);
    if (parts === null) continue;
    segments = [...segments.slice(0, at), ...parts, ...segments.slice(at + 1)];
    at -= 1;
  }
}

/** Null when it is done; or the segments that take its place, of which nothing is done yet. */
async function runSegment(session: Session, segment: Segment, text: string): Promise<Segment[] | null> {
  const sqlOf = ({ offset, length }: Segment['steps'][number]): string => text.slice(offset, offset + length);
  if (segment.runs === 'alone') {
    for (const step of segment.steps) await session.query(sqlOf(step));
    return null;
  }
  await session.query(segment.begin);
  for (const [index, step] of segment.steps.entries())
    try {
      await session.query(sqlOf(step));
    } catch (error) {
      if (session.alive) await session.query('rollback');
      const sqlstate = error instanceof AppError ? error.details.sqlstate : undefined;
      if (segment.explicit || typeof sqlstate !== 'string') throw error;
      if (needsCommitBefore.has(sqlstate) && index > 0) return splitBefore(segment, index);
      if (sqlstate === refusesTransaction && segment.steps.length > 1) return takeOut(segment, index);
      throw error;
    }
  await session.query(segment.rollsBack ? 'rollback' : 'commit');
  return null;
}
