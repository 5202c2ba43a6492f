import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Rule } from '../../analysis/define-rule.ts';
import { rules as ownRules } from '../../analysis/rules/index.ts';
import { effects, severities } from '../../analysis/violation.ts';
import { AppError } from '../../errors.ts';

/**
 * The rules that a module exports, as its default or as `rules`: of a file, or of an installed package.
 * @throws AppError `CONFIG_INVALID`
 */
export async function readRules(given: string): Promise<readonly Rule[]> {
  let exported: { default?: unknown; rules?: unknown };
  try {
    const file = existsSync(given) ? path.resolve(given) : createRequire(path.resolve('_')).resolve(given);
    exported = (await import(pathToFileURL(file).href)) as typeof exported;
  } catch (error) {
    throw invalid(`The rules in ${given} cannot be loaded: ${reasonOf(error)}`, error);
  }
  const rules = [exported.rules, exported.default].find(Array.isArray) as unknown[] | undefined;
  if (rules === undefined) throw invalid(`${given} exports no list of rules, as its default or as "rules".`);
  const taken = new Set(ownRules.map(({ id }) => id));
  for (const [index, rule] of rules.entries()) {
    const fault = faultOf(rule);
    if (fault !== null) throw invalid(`Rule ${index + 1} of ${given} ${fault}.`);
    const { id } = rule as Rule;
    if (taken.has(id)) throw invalid(`Rule ${index + 1} of ${given} has the id "${id}", which is taken.`);
    taken.add(id);
  }
  return rules as Rule[];
}

/** The ids under which violations are found: of our own rules and of these. */
export const ruleIds = (customRules: readonly Rule[]): ReadonlySet<string> =>
  new Set([...ownRules.map(({ id }) => id), ...customRules.map(({ id }) => id)]);

/** What keeps a value from being a rule. What a rule need not have itself is of no use to the analysis. */
function faultOf(value: unknown): string | null {
  if (typeof value !== 'object' || value === null) return 'is no object';
  const { id, severity, effect, summary, why, peers, on, check, checkMigration, checkFolder } =
    value as Partial<Record<keyof Rule, unknown>>;
  if (typeof id !== 'string' || !/^[a-z0-9]+(-[a-z0-9]+)*$/.test(id))
    return 'needs an id of small letters, digits and hyphens';
  const named = `("${id}")`;
  if (!severities.some((one) => one === severity))
    return `${named} needs a severity: ${severities.join(', ')}`;
  if (effect !== null && !effects.some((one) => one === effect))
    return `${named} needs an effect: null, ${effects.join(', ')}`;
  if (typeof summary !== 'string' || typeof why !== 'string') return `${named} needs a summary and a why`;
  if (!Array.isArray(peers)) return `${named} needs a list of peers, which may be empty`;
  const checks = [check, checkMigration, checkFolder].filter((one) => one !== undefined);
  if (checks.length === 0 || !checks.every((one) => typeof one === 'function'))
    return `${named} needs a function check, checkMigration or checkFolder`;
  if (check !== undefined && !Array.isArray(on)) return `${named} needs a list "on" of the changes to check`;
  return null;
}

/** Node lists below the first line which file asked for the module. */
const reasonOf = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).split('\n', 1)[0] ?? '';

const invalid = (message: string, cause?: unknown): AppError =>
  new AppError('CONFIG_INVALID', message, {}, { cause });
