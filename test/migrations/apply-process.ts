/**
 * Deploys, or rolls back, in a process of its own, to be killed:
 * `apply-process.ts <url> <job id> <folders, or rollbacks, as JSON> [forth|back] [options as JSON]`.
 * Writes one line for each step that begins (`step <number of the statement>`).
 */
import { deploy, rollBack } from './deploy.ts';

const [url = '', jobId = '', files = '{}', direction = 'forth', options = '{}'] = process.argv.slice(2);
const run = direction === 'back' ? rollBack : deploy;
await run(url, JSON.parse(files), {
  jobId,
  lockTimeoutMs: 60_000,
  ...JSON.parse(options),
  report: (event) => {
    if (event.type === 'step') process.stdout.write(`step ${event.step.statement}\n`);
  },
});
