import { connection } from './connection.ts';
import { history } from './history.ts';
import { indexes } from './indexes.ts';
import { transactions } from './transactions.ts';
import { wraparound } from './wraparound.ts';

/** In the order in which they run; the first tells whether the database can be used at all. */
export const checks = [connection, history, indexes, transactions, wraparound] as const;
