/**
 * Comments that allow one rule at one place, with a reason:
 *   -- switchback: allow <rule-id>: <reason>          for the statement that follows, or in which it stands
 *   -- switchback: allow-file <rule-id>: <reason>     for the whole file
 */
import { placeOf, type Statement } from '../sql/split.ts';
import type { Finding, Rule } from './define-rule.ts';
import { faultySuppression } from './rules/faulty-suppression.ts';
import type { Violation } from './violation.ts';

export interface Suppression {
  readonly rule: string;
  readonly reason: string;
  readonly line: number;
  readonly column: number;
  /** Lines of the statement that it is for; null for the whole file. */
  readonly lines: readonly [first: number, last: number] | null;
  /** A statement's comment with no statement behind it. */
  readonly orphaned: boolean;
}

const comment = /--[ \t]*switchback:[ \t]*(allow(?:-file)?)\b[ \t]*([\w-]*)[ \t]*:?[ \t]*([^\n\r]*)/g;

/** All suppressions of a file. Almost no file has any, so that the text is searched first. */
export function readSuppressions(text: string, statements: readonly Statement[]): Suppression[] {
  if (!text.includes('switchback:')) return [];
  return [...text.matchAll(comment)].flatMap((match) => {
    const [, scope, rule = '', reason = ''] = match;
    const { index } = match;
    const statement = statements.find(({ offset, text: own }) => offset + own.length > index);
    if (statement !== undefined && isInString(statement, index)) return [];
    const place = placeOf(text, index);
    const lines: [number, number] | null =
      scope === 'allow-file' || statement === undefined
        ? null
        : [statement.line, placeOf(text, statement.offset + statement.text.length).line];
    return [
      {
        rule,
        reason: reason.trim(),
        ...place,
        lines,
        orphaned: scope === 'allow' && statement === undefined,
      },
    ];
  });
}

/** Inside a statement the mark may stand in a constant, where it is no comment. */
function isInString(statement: Statement, index: number): boolean {
  if (index < statement.offset) return false;
  const before = statement.text.slice(0, index - statement.offset);
  const line = before.slice(before.lastIndexOf('\n') + 1);
  return (line.match(/'/g)?.length ?? 0) % 2 === 1;
}

/** Marks what is suppressed, and reports suppressions that are unknown, without a reason, or of no use. */
export function suppress(
  violations: readonly Violation[],
  suppressions: readonly Suppression[],
  rules: readonly Rule[],
  asViolation: (rule: Rule, finding: Finding, place: Suppression) => Violation | null,
): Violation[] {
  if (suppressions.length === 0) return [...violations];
  const used = new Set<Suppression>();
  const marked = violations.map((violation) => {
    const found = suppressions.find((suppression) => isFor(suppression, violation));
    if (found === undefined) return violation;
    used.add(found);
    return { ...violation, suppressed: found.reason };
  });
  const known = new Set(rules.map(({ id }) => id));
  const faults = suppressions.flatMap((suppression) => {
    const finding = fault(suppression, used.has(suppression), known);
    return finding === null ? [] : (asViolation(faultySuppression, finding, suppression) ?? []);
  });
  return [...marked, ...faults];
}

const isFor = ({ rule, reason, lines, orphaned }: Suppression, violation: Violation): boolean =>
  rule === violation.rule &&
  reason !== '' &&
  !orphaned &&
  (lines === null || (violation.line >= lines[0] && violation.line <= lines[1]));

function fault(
  { rule, reason, orphaned }: Suppression,
  used: boolean,
  known: ReadonlySet<string>,
): Finding | null {
  if (!known.has(rule))
    return {
      message: `This comment allows ${rule === '' ? 'no rule' : `"${rule}", which is no rule`}, so that it allows nothing.`,
      remedy: 'Write `-- switchback: allow <rule-id>: <reason>` with the id of a violation.',
    };
  if (reason === '')
    return {
      message: `This comment allows ${rule} without a reason, so that it allows nothing.`,
      remedy: `Say why it is safe here: \`-- switchback: allow ${rule}: <reason>\`.`,
    };
  if (used) return null;
  return {
    message: orphaned
      ? `This comment allows ${rule} for the statement that follows it, but none follows.`
      : `This comment allows ${rule}, which does not fire here.`,
    remedy: 'Remove the comment.',
  };
}
