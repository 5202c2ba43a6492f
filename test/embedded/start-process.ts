/** Starts the embedded server in a process of its own, says so in one line of JSON, and stops it on SIGTERM. */
import { startEmbedded } from '../../src/embedded/embedded.ts';
import { toAppError } from '../../src/errors.ts';

const [wanted = ''] = process.argv.slice(2);
const say = (line: object): void => void process.stdout.write(`${JSON.stringify(line)}\n`);
try {
  const embedded = await startEmbedded(wanted);
  const { folder, port, orphan } = embedded;
  process.once('SIGTERM', () => void embedded.stop());
  say({ folder, port, orphan, url: await embedded.database('switchback') });
} catch (error) {
  const { code, message } = toAppError(error);
  say({ code, message });
  process.exitCode = 1;
}
