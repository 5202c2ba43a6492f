/** `node --import tsx bench/load.ts <url> <per second> <seconds>`: an application's load; prints its latencies as JSON. */
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';

/** In milliseconds. A request that begins late since those before it took long has waited, too. */
export interface Latencies {
  readonly requests: number;
  readonly p50: number;
  readonly p99: number;
  readonly most: number;
}

const [url = '', perSecond = '', seconds = ''] = process.argv.slice(2);
const pool = new pg.Pool({ connectionString: url, max: 8 });
const { rows: counted } = await pool.query<{ rows: number }>('select max(id)::int as rows from item');
const total = counted[0]?.rows ?? 0;
const latencies: number[] = [];
const startedAt = performance.now();
const requests: Promise<void>[] = [];
for (let number = 0; number < Number(perSecond) * Number(seconds); number += 1) {
  const due = startedAt + (number * 1_000) / Number(perSecond);
  if (due > performance.now()) await pause(due - performance.now());
  requests.push(request(due));
}
await Promise.all(requests);
await pool.end();
latencies.sort((one, other) => one - other);
const percentile = (share: number): number => latencies[Math.floor((latencies.length - 1) * share)] ?? 0;
const printed: Latencies = {
  requests: latencies.length,
  p50: percentile(0.5),
  p99: percentile(0.99),
  most: percentile(1),
};
console.log(JSON.stringify(printed));

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
