import { describeConfig, loadConfig } from '../config.ts';
import { checkAnalysisConfig } from '../jobs/analysis/analysis-config.ts';

/** `switchback check-config`: prints the effective configuration without its secrets. Exits 2 where it has faults. */
export async function checkConfig(file: string | undefined): Promise<void> {
  const config = loadConfig(undefined, { file });
  await checkAnalysisConfig(config);
  process.stdout.write(`${JSON.stringify(describeConfig(config), null, 2)}\n`);
}
