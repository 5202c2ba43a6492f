/** The comparison as text. */
import { type Comparison, classes, type Disagreement, type Score } from './compare.ts';
import { blocking, effects, type Observation } from './observation.ts';

export function describeObservations(folder: string, observations: readonly Observation[]): string {
  const count = (is: (observation: Observation) => boolean): number => observations.filter(is).length;
  const lines = [
    `${folder}: ${observations.length} migrations`,
    ...(['applied', 'appliedEmpty', 'failed'] as const).map(
      (outcome) => `  ${outcome.padEnd(16)}${count((one) => one.outcome === outcome)}`,
    ),
    ...effects.map((effect) => `  ${effect.padEnd(16)}${count((one) => one.effects.includes(effect))}`),
    `  ${'blocks'.padEnd(16)}${count((one) => blocking.some((effect) => one.effects.includes(effect)))}`,
    `  ${'harmless'.padEnd(16)}${count(({ harmless }) => harmless)}`,
  ];
  return lines.join('\n');
}

export function describeComparison(folder: string, comparison: Comparison): string {
  const { scores, disagreements, harmless, failed, unknown, compared } = comparison;
  return [
    `${folder}: ${compared} migrations compared`,
    `  ${'effect'.padEnd(16)}${['tp', 'fp', 'fn', 'precision', 'recall'].map((head) => head.padStart(11)).join('')}`,
    ...classes.map((name) => `  ${name.padEnd(16)}${columnsOf(scores[name])}`),
    `  harmless: ${harmless.safe} of ${harmless.total} are called safe`,
    ...harmless.notSafe.flatMap(({ name, verdict, violations }) => [
      `    ${name}: ${verdict}`,
      ...violations.map(({ rule, line, message }) => `      ${rule}, line ${line}: ${message}`),
    ]),
    ...disagreements.flatMap(describeDisagreement),
    ...failed.map(({ name, error }) => `  failed, left out: ${name}: ${error}`),
    ...unknown.map((name) => `  not analysed, left out: ${name}`),
  ].join('\n');
}

const columnsOf = ({ truePositives, falsePositives, falseNegatives, precision, recall }: Score): string =>
  [truePositives, falsePositives, falseNegatives, percent(precision), percent(recall)]
    .map((value) => String(value).padStart(11))
    .join('');

const percent = (share: number | null): string => (share === null ? '-' : `${(share * 100).toFixed(1)} %`);

function describeDisagreement({ name, missed, invented, observation, analysed }: Disagreement): string[] {
  const happened = observation.findings.map(
    ({ effect, table, statement }) => `${effect} of ${table} (statement ${statement})`,
  );
  return [
    `  ${name} (${observation.outcome})`,
    ...(missed.length === 0 ? [] : [`    missed: ${missed.join(', ')}`]),
    ...(invented.length === 0 ? [] : [`    invented: ${invented.join(', ')}`]),
    ...[...new Set(happened)].map((line) => `    happened: ${line}`),
    ...analysed.violations.map(({ rule, line, message }) => `    told: ${rule}, line ${line}: ${message}`),
  ];
}
