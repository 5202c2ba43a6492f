import type { Context } from './context.ts';
import type { Finding, Rule } from './define-rule.ts';
import { duration, estimate, size } from './estimate.ts';
import type { TableFacts } from './facts.ts';
import { isWorse, type Severity } from './violation.ts';

/** Names the time that the work takes where the database's figures are known; brief work is safe. */
export function sharpen(finding: Finding, rule: Rule, context: Context): Finding {
  const { work, table } = finding;
  if (table != null && context.isUnreleased(table))
    return unreleased(finding, rule.severity, context.name(table));
  if (work === undefined) return finding;
  const facts = context.factsOf(work.table);
  if (facts === null) return finding;
  const seconds = estimate(work.kind, facts);
  const severity = finding.severity ?? rule.severity;
  const brief = seconds <= context.policy.thresholds.briefSeconds && facts.rows >= 0;
  return {
    ...finding,
    message: `${finding.message} ${context.name(work.table)} has ${size(facts)}: ${duration(seconds)}${traffic(facts)}.`,
    severity: brief && isWorse(severity, 'safe') ? 'safe' : severity,
  };
}

function traffic({ rows, reads, writes }: TableFacts): string {
  if (rows <= 0 || reads + writes === 0) return '';
  const count = (number: number, noun: string): string =>
    `${number.toLocaleString('en')} ${noun}${number === 1 ? '' : 's'}`;
  return `; since the statistics began there were ${count(reads, 'scan')} and ${count(writes, 'written row')}`;
}

/** What an earlier migration of the same deployment has made is used by no release yet. */
export function unreleased<F extends Finding>(finding: F, usual: Severity, table: string): F {
  if (!isWorse(finding.severity ?? usual, 'safe')) return finding;
  return {
    ...finding,
    severity: 'safe',
    message: `${finding.message} ${table} is made by this same deployment, so that no release uses it yet.`,
  };
}
