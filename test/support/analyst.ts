/** One analysis thread for all tests of a file: each loads the parser anew, which takes longer than most tests. */
import pino from 'pino';
import { type Analyst, openAnalyst } from '../../src/jobs/analysis/analyst.ts';

let shared: Promise<Analyst> | null = null;

/** What its user closes stays there for the next one; it ends with the process. @param rules of the configuration */
export async function borrowAnalyst(rules: string | undefined): Promise<Analyst> {
  const log = pino({ level: process.env.TEST_LOG ?? 'silent' });
  if (rules !== undefined) return openAnalyst({ log, rules });
  shared ??= openAnalyst({ log });
  return { ...(await shared), close: async () => {} };
}
