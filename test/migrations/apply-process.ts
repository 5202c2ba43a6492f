/**
 * Deploys in a process of its own, to be killed: `apply-process.ts <url> <job id> <folders as JSON>`.
 * Writes one line for each step that begins (`step <number of the statement>`).
 */
import { deploy } from './deploy.ts';

const [url = '', jobId = '', files = '{}'] = process.argv.slice(2);
await deploy(url, JSON.parse(files), {
  jobId,
  lockTimeoutMs: 60_000,
  report: (event) => {
    if (event.type === 'step') process.stdout.write(`step ${event.step.statement}\n`);
  },
});
