import { describeConfig, loadConfig } from '../config.ts';

/** `switchback check-config`: prints the effective configuration without its secrets. Exits 2 where it has faults. */
export function checkConfig(file: string | undefined): void {
  process.stdout.write(`${JSON.stringify(describeConfig(loadConfig(undefined, { file })), null, 2)}\n`);
}
