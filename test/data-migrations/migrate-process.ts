/** Runs a data migration in a process of its own, to be killed: `migrate-process.ts <url> <id> <spec as JSON> <url that is written, or nothing> <folder with modules>`. */
import { migrate } from './migrate.ts';

const [url = '', id = '', spec = '{}', to = '', transforms = ''] = process.argv.slice(2);
const outcome = await migrate(url, JSON.parse(spec), {
  id,
  ...(to === '' ? {} : { to }),
  transforms,
  report: (event) => {
    if (event.type === 'reconnecting') process.stdout.write('reconnecting\n');
  },
});
process.stdout.write(`${outcome.state}\n`);
