import { type Config, type ConfigFault, configFaults } from '../../config.ts';
import { AppError } from '../../errors.ts';
import { readRules, ruleIds } from './custom-rules.ts';

/**
 * Checks what only loading can tell: that the configured rules are some, and that policies name rules that there are.
 * @throws AppError `CONFIG_INVALID` with all faults
 */
export async function checkAnalysisConfig(
  config: Pick<Config, 'analysis' | 'databases' | 'file'>,
): Promise<void> {
  const faults: ConfigFault[] = [];
  const loaded = await load(config.analysis.rules, faults);
  // Without the configured rules their ids are not known either.
  if (loaded !== null)
    config.databases.forEach(({ policy }, index) => {
      for (const id of Object.keys(policy.analysis.rules))
        if (!loaded.has(id))
          faults.push({
            path: `databases.${index}.policy.analysis.rules.${id}`,
            message: 'there is no such rule',
          });
    });
  if (faults.length > 0) throw configFaults(config.file, faults);
}

async function load(rules: string | undefined, faults: ConfigFault[]): Promise<ReadonlySet<string> | null> {
  try {
    return ruleIds(rules === undefined ? [] : await readRules(rules));
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    faults.push({ path: 'analysis.rules', message: error.message });
    return null;
  }
}
