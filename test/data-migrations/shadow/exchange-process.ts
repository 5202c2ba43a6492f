/** Runs `exchange`, or its undoing, in a process that can be killed, and says when it begins. `node --import tsx exchange-process.ts <swap|undo> <url> <id> <body>` */
import { undoSwap } from '../../../src/data-migrations/shadow/undo.ts';
import { atPlace, exchange, swapOf } from './tables.ts';

const [what = '', url = '', id = '', body = '{}'] = process.argv.slice(2);
process.stdout.write('begun\n');
if (what === 'swap') await exchange(url, JSON.parse(body) as object, { id });
else await atPlace(url, (session) => undoSwap(session, swapOf(id)), 300);
