/** Runs a data migration in a process of its own, to be killed: `migrate-process.ts <url> <id> <spec as JSON> [url that is written]`. */
import { migrate } from './migrate.ts';

const [url = '', id = '', spec = '{}', to] = process.argv.slice(2);
const outcome = await migrate(url, JSON.parse(spec), {
  id,
  ...(to === undefined ? {} : { to }),
  report: (event) => {
    if (event.type === 'reconnecting') process.stdout.write('reconnecting\n');
  },
});
process.stdout.write(`${outcome.state}\n`);
