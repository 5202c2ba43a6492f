/**
 * `node --import tsx bench/load.ts <url> <per second> <seconds>`: an application's load, shorter where SIGTERM comes before.
 * The first line that it prints is the address where it tells its own latency of late, `{"p99": ms}`; the second its
 * latencies in all.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';

/** In milliseconds. A request that begins late since those before it took long has waited, too. */
export interface Latencies {
  readonly requests: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly most: number;
}

const [url = '', perSecond = '', seconds = ''] = process.argv.slice(2);
/** Requests that the address looks back upon: those of some two seconds. */
const recent = 400;
const pool = new pg.Pool({ connectionString: url, max: 8 });
const { rows: counted } = await pool.query<{ rows: number }>('select max(id)::int as rows from item');
const total = counted[0]?.rows ?? 0;
const latencies: number[] = [];
const server = createServer((_, response) => {
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({ p99: percentile(latencies.slice(-recent), 0.99) }));
});
await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
let isOver = false;
process.once('SIGTERM', () => {
  isOver = true;
});
const startedAt = performance.now();
const requests: Promise<void>[] = [];
for (let number = 0; number < Number(perSecond) * Number(seconds) && !isOver; number += 1) {
  const due = startedAt + (number * 1_000) / Number(perSecond);
  if (due > performance.now()) await pause(due - performance.now());
  requests.push(request(due));
}
await Promise.all(requests);
await pool.end();
server.close();
server.closeAllConnections();
const printed: Latencies = {
  requests: latencies.length,
  p50: percentile(latencies, 0.5),
  p95: percentile(latencies, 0.95),
  p99: percentile(latencies, 0.99),
  most: percentile(latencies, 1),
};
console.log(JSON.stringify(printed));

function percentile(among: readonly number[], share: number): number {
  return among.toSorted((one, other) => one - other)[Math.floor((among.length - 1) * share)] ?? 0;
}

/** Reads a row anywhere, and changes another. */
async function request(due: number): Promise<void> {
  const client = await pool.connect();
  try {
    await client.query('select note from item where id = $1', [Math.ceil(Math.random() * total)]);
    await client.query('update item set note = $2 where id = $1', [
      Math.ceil(Math.random() * total),
      String(due),
    ]);
  } finally {
    client.release();
  }
  latencies.push(performance.now() - due);
}
