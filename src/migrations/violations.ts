import type { JsonAnalysis, JsonViolation } from '../analysis/reports/json.ts';
import type { Fault } from './fault.ts';

/**
 * What an analysis says against a plan: dangerous violations stop it, others that count warn. What a comment in the file
 * allows stands in the analysis only, and so do opinions.
 */
export const faultsOf = ({ migrations, violations }: JsonAnalysis): Fault[] => [
  ...violations.flatMap((violation) => faultOf(violation, null)),
  ...migrations.flatMap(({ name, violations: own }) => own.flatMap((violation) => faultOf(violation, name))),
];

function faultOf(violation: JsonViolation, migration: string | null): Fault[] {
  const { rule, severity, effect, table, line, column, remedy, suppressed } = violation;
  if (suppressed !== undefined || (severity !== 'caution' && severity !== 'dangerous')) return [];
  return [
    {
      code: 'PLAN_HAS_VIOLATIONS',
      severity: severity === 'dangerous' ? 'stop' : 'warn',
      migration,
      message: `${migration === null ? 'The folder' : `${migration}, line ${line}`}: ${violation.message} (${rule})`,
      line,
      column,
      rule,
      effect,
      table,
      remedy,
    },
  ];
}
