/** Where a file cannot run as one transaction. */
import { addsEnumValue, chains, mentions, runsAs, setsSession } from '../sql/classify.ts';
import type { Split } from '../sql/recover.ts';
import type { Statement } from '../sql/split.ts';

export interface Division {
  readonly line: number;
  readonly detail: string;
  /** Whether a failure may leave a part of the file done. */
  readonly halves: boolean;
}

/** Why a file is not one transaction; nothing where it is. */
export function divisions({ statements, unparsable }: Split): Division[] {
  const [fault] = unparsable;
  if (fault !== undefined)
    return [{ line: fault.line, detail: 'It does not parse, so that this is not known.', halves: false }];
  const parts = partsOf(statements);
  const alone = parts.filter((part) => part.alone);
  if (parts.length <= 1)
    return alone.map(({ first }) => ({
      line: first.line,
      detail: 'PostgreSQL refuses the statement inside a transaction; it is the only one of its file.',
      halves: false,
    }));
  if (alone.length > 0)
    return alone.map(({ first }) => ({
      line: first.line,
      detail: 'PostgreSQL refuses the statement inside a transaction, and the file holds others.',
      halves: true,
    }));
  return parts.slice(1).map(({ first }) => ({
    line: first.line,
    detail: 'Another transaction begins here: what stands before it is committed by then.',
    halves: true,
  }));
}

interface Part {
  readonly first: Statement;
  readonly alone: boolean;
}

/** The transactions of a file, as few as PostgreSQL allows, and the statements that it refuses in one. */
function partsOf(statements: readonly Statement[]): Part[] {
  const parts: Part[] = [];
  let labels: string[] = [];
  let explicit = false;
  let open = false;
  for (const statement of statements) {
    const how = runsAs(statement);
    if (how === 'begin' || how === 'commit' || how === 'rollback') {
      // A second BEGIN, or a COMMIT without one, is only warned of.
      if (explicit === (how === 'begin')) continue;
      explicit = how === 'begin' || chains(statement);
      open = false;
      labels = [];
      continue;
    }
    // A setting leaves nothing half done.
    if (statement.kind === 'VariableSetStmt' && setsSession(statement)) continue;
    if (!explicit && (how === 'alone' || commitsInside(statement))) {
      parts.push({ first: statement, alone: true });
      open = false;
      continue;
    }
    // A label of an enum cannot be used before its transaction has committed.
    if (!explicit && labels.some((label) => mentions(statement, label))) {
      open = false;
      labels = [];
    }
    if (!open) parts.push({ first: statement, alone: false });
    open = true;
    const label = addsEnumValue(statement);
    if (label !== null) labels.push(label);
  }
  return parts;
}

/** A DO block with COMMIT in its code, as far as its text shows. */
const commitsInside = ({ kind, text }: Statement): boolean =>
  kind === 'DoStmt' &&
  /\b(commit|rollback)\s*(and\s|;)/i.test(text.replace(/--[^\n]*|\/\*[\s\S]*?\*\//g, ' '));
