/** The thread in which text of others is parsed and analysed: what goes wrong here ends no process. */
import { parentPort, workerData } from 'node:worker_threads';
import { AppError, type ErrorRecord } from '../../errors.ts';
import { loadParser } from '../../sql/parse.ts';
import { perform, type Task } from './analysis-tasks.ts';
import { readRules } from './custom-rules.ts';

/** What the thread is started with. */
export interface ThreadData {
  /** The module of the configured rules. */
  readonly rules: string | null;
}

/** What the thread answers; `ready` once, before all else. */
export type ThreadAnswer =
  | { readonly ready: true }
  | { readonly done: unknown }
  | { readonly refused: ErrorRecord }
  | { readonly broken: string };

if (parentPort !== null) {
  const port = parentPort;
  const { rules } = workerData as ThreadData;
  const [customRules] = await Promise.all([rules === null ? [] : readRules(rules), loadParser()]);
  const answer = (task: Task): ThreadAnswer => {
    try {
      return { done: perform(task, customRules) };
    } catch (error) {
      return error instanceof AppError
        ? { refused: error.toRecord() }
        : { broken: error instanceof Error ? (error.stack ?? error.message) : String(error) };
    }
  };
  port.on('message', (task: Task) => port.postMessage(answer(task)));
  port.postMessage({ ready: true } satisfies ThreadAnswer);
}
