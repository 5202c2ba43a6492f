/** How good a folder of migrations is: four questions, each decided, with what decided it. */
import type { Analysis } from './analyse.ts';
import { dateOf, providerOf } from './summary.ts';
import { isWorse } from './violation.ts';

export type Answer = 'yes' | 'partly' | 'no';

export interface Evidence {
  /** Null where it concerns the folder. */
  readonly migration: string | null;
  readonly line: number | null;
  readonly detail: string;
}

export interface Criterion {
  readonly criterion: 'proper versioning' | 'non-destructive' | 'indexed appropriately' | 'atomic';
  readonly answer: Answer;
  /** Why, in one or two sentences. */
  readonly explanation: string;
  readonly evidence: readonly Evidence[];
}

export type Quality = readonly Criterion[];

export interface QualityInput {
  readonly analysis: Analysis;
  /** In the order in which they are applied. */
  readonly migrations: readonly { readonly name: string }[];
  /** Content of `migration_lock.toml`; null where it is missing, undefined where there is no folder to hold it. */
  readonly lockFile?: string | null;
}

export function assessQuality({ analysis, migrations, lockFile }: QualityInput): Quality {
  const names = migrations.map(({ name }) => name);
  return [versioning(names, lockFile), destruction(analysis), indexing(analysis), atomicity(analysis)];
}

function versioning(names: readonly string[], lockFile: string | null | undefined): Criterion {
  const undated = names.filter((name) => !/^\d{14}(_|$)/.test(name) || dateOf(name) === null);
  const confused = [...twins(names), ...backward(names)];
  const evidence = [
    ...undated.map((name) => about(name, 'The name does not begin with a date and time of 14 digits.')),
    ...confused,
    ...orderedByTool(names),
    ...lockFileFaults(lockFile),
  ];
  const failed = confused.length > 0 || (names.length > 0 && undated.length === names.length);
  return {
    criterion: 'proper versioning',
    answer: evidence.length === 0 ? 'yes' : failed ? 'no' : 'partly',
    explanation:
      evidence.length === 0
        ? 'Every name begins with a date and time of its own, and the order by name is the order by date.'
        : failed
          ? 'The names do not say reliably in which order the migrations were made.'
          : 'The order by name is the order by date, but not everything is as Prisma makes it.',
    evidence,
  };
}

function twins(names: readonly string[]): Evidence[] {
  const first = new Map<string, string>();
  return names.flatMap((name) => {
    const date = dateOf(name);
    const other = date === null ? undefined : first.get(date);
    if (date !== null && other === undefined) first.set(date, name);
    return other === undefined ? [] : [about(name, `It has the same date as ${other}.`)];
  });
}

/** Applied after one that is newer. A day alone says nothing about the hours of the same day. */
function backward(names: readonly string[]): Evidence[] {
  let newest: { name: string; date: string } | null = null;
  const found: Evidence[] = [];
  for (const name of names) {
    const date = dateOf(name);
    if (date === null) continue;
    if (newest !== null && date < newest.date && !newest.date.startsWith(date))
      found.push(about(name, `It is applied after ${newest.name}, which has a later date.`));
    else newest = { name, date };
  }
  return found;
}

/** Prisma's command line sorts by locale, its older engines and most other tools by bytes. */
const orderedByTool = (names: readonly string[]): Evidence[] =>
  names.flatMap((name, index) => {
    const before = names[index - 1];
    return before !== undefined && before > name
      ? [about(name, `Tools that sort by bytes, not by locale, apply it before ${before}.`)]
      : [];
  });

function lockFileFaults(lockFile: string | null | undefined): Evidence[] {
  if (lockFile === undefined) return [];
  if (lockFile === null) return [about(null, 'migration_lock.toml is missing.')];
  return providerOf(lockFile) === null ? [about(null, 'migration_lock.toml names no provider.')] : [];
}

function destruction({ migrations }: Analysis): Criterion {
  const found = migrations.flatMap(({ name, violations }) =>
    violations
      .filter(({ severity }) => isWorse(severity, 'safe'))
      .filter(({ effect }) => effect === 'dataLoss' || effect === 'breaksOldVersion')
      .map((violation) => ({ name, violation })),
  );
  const loses = found.some(({ violation }) => violation.effect === 'dataLoss');
  return {
    criterion: 'non-destructive',
    answer: found.length === 0 ? 'yes' : loses ? 'no' : 'partly',
    explanation:
      found.length === 0
        ? 'No migration removes data, and none takes away what a release that still runs may use.'
        : loses
          ? 'Data is removed that no later migration can bring back.'
          : 'No data is removed, but a release that still runs may use what is taken away.',
    evidence: found.map(({ name, violation: { line, message, suppressed } }) => ({
      migration: name,
      line,
      detail: suppressed === undefined ? message : `${message} Allowed in the file: ${suppressed}`,
    })),
  };
}

function indexing({ migrations }: Analysis): Criterion {
  const missing = migrations.flatMap(({ name, violations }) =>
    violations
      .filter(({ rule }) => rule === 'foreign-key-without-index')
      .map(({ line, message }) => ({ migration: name, line, detail: message })),
  );
  const all = migrations.reduce((sum, { foreignKeys }) => sum + foreignKeys, 0);
  return {
    criterion: 'indexed appropriately',
    answer: missing.length === 0 ? 'yes' : missing.length < all ? 'partly' : 'no',
    explanation:
      all === 0
        ? 'No foreign keys are created.'
        : missing.length === 0
          ? `Every foreign key has an index that begins with its columns (${all} in all).`
          : `${missing.length} of ${all} foreign keys have no index that begins with their columns, so that deleting a referenced row reads the whole table.`,
    evidence: missing,
  };
}

function atomicity({ migrations }: Analysis): Criterion {
  const found = migrations.flatMap(({ name, divisions }) =>
    divisions.map((division) => ({ ...division, migration: name })),
  );
  const leavesHalf = found.some(({ halves }) => halves);
  return {
    criterion: 'atomic',
    answer: found.length === 0 ? 'yes' : leavesHalf ? 'no' : 'partly',
    explanation:
      found.length === 0
        ? 'Every migration can run as one transaction: wholly or not at all.'
        : leavesHalf
          ? 'A failure in the middle of a migration may leave half of it behind.'
          : 'What cannot run in one transaction has a migration of its own, so that nothing else is left half done.',
    evidence: found.map(({ migration, line, detail }) => ({ migration, line, detail })),
  };
}

const about = (migration: string | null, detail: string): Evidence => ({ migration, line: null, detail });
