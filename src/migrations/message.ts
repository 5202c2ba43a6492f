import { sqlstateOf } from '../db/errors.ts';
import { AppError } from '../errors.ts';
import { placeOf } from '../sql/split.ts';
import type { Step } from './segments.ts';

interface Command {
  readonly step: Step | null;
  /** Where it begins in the message. */
  readonly start: number;
}

/**
 * Commands that are sent in one message, as one round trip: the file's statements with our own around them. The server
 * tells how many are complete, so that it is known which one failed.
 */
export class Message {
  readonly #commands: Command[] = [];
  #sql = '';

  get sql(): string {
    return this.#sql;
  }

  get steps(): Step[] {
    return this.#commands.flatMap(({ step }) => (step === null ? [] : [step]));
  }

  clear(): void {
    this.#commands.length = 0;
    this.#sql = '';
  }

  /** Adds one command of our own, or a statement of the file. */
  add(sql: string, step: Step | null = null): void {
    this.#commands.push({ step, start: this.#sql.length });
    // A statement may end in a line comment.
    this.#sql += step === null ? `${sql}; ` : `${sql}\n;\n`;
  }

  /** The statement of the file that runs when this many commands are complete; null for one of ours. */
  stepAt(completed: number): Step | null {
    return this.#commands[completed]?.step ?? null;
  }

  /** Where in the file an error lies, as an index into its text: PostgreSQL counts code points of the whole message. */
  offsetOf(completed: number, error: AppError): number {
    const command = this.#commands[completed];
    if (command === undefined || command.step === null) return 0;
    const { position } = error.details;
    const inside = typeof position === 'number' ? indexOf(this.#sql, position - 1) - command.start : 0;
    return command.step.offset + Math.max(0, inside);
  }
}

function indexOf(text: string, codePoint: number): number {
  let index = 0;
  for (let count = 0; count < codePoint && index < text.length; count += 1)
    index += (text.codePointAt(index) ?? 0) > 0xffff ? 2 : 1;
  return index;
}

/** A statement's error with its place in the file, and what the server says of it. */
export function locate(
  error: AppError,
  file: { readonly migration: string; readonly text: string },
  step: Step,
  offset: number,
): AppError {
  const place = placeOf(file.text, offset);
  const reason = typeof error.details.reason === 'string' ? error.details.reason : error.message;
  const sqlstate = sqlstateOf(error);
  const hint = typeof error.details.hint === 'string' ? ` Hint: ${error.details.hint}` : '';
  return new AppError(
    error.code,
    `${file.migration}, line ${place.line}, column ${place.column}: ${reason}${sqlstate === undefined ? '' : ` (SQLSTATE ${sqlstate})`}.${hint} The statement: ${step.summary}`,
    { ...error.details, migration: file.migration, statement: step.statement, ...place },
    { cause: error },
  );
}
