/** `npm run bench -- <name> …`: runs benchmarks, prints each figure with its reference; exit code 1 when a bound is missed. */
import { cpus, totalmem } from 'node:os';
import { analyse } from './analyse.ts';
import { backfill } from './backfill.ts';
import { backup } from './backup.ts';
import { customerScript } from './customer-script.ts';
import type { Measurement } from './define-bench.ts';
import { deploy200 } from './deploy-200.ts';
import { enqueue } from './enqueue.ts';
import { growth } from './growth.ts';
import { memory } from './memory.ts';
import { prove } from './prove.ts';
import { spared } from './spared.ts';
import { sse } from './sse.ts';
import { transform } from './transform.ts';
import { validate } from './validate.ts';
import { vault } from './vault.ts';

const benches = [
  deploy200,
  enqueue,
  sse,
  memory,
  backup,
  analyse,
  vault,
  validate,
  backfill,
  prove,
  transform,
  growth,
  spared,
  customerScript,
] as const;

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !benches.some((bench) => bench.name === name));
if (wanted.length === 0 || unknown.length > 0) {
  if (unknown.length > 0) console.error(`There is no benchmark ${unknown.join(', ')}.`);
  console.error('usage: npm run bench -- <name> …');
  for (const { name, summary } of benches) console.error(`  ${name.padEnd(16)} ${summary}`);
  process.exit(2);
}

const gigabytes = (totalmem() / 2 ** 30).toFixed(0);
console.log(
  `${process.platform} ${process.arch}, ${cpus().length} × ${cpus()[0]?.model.trim()}, ${gigabytes} GB, Node ${process.version}`,
);
for (const bench of benches.filter(({ name }) => wanted.includes(name))) {
  console.log(`\n${bench.name}: ${bench.summary}`);
  for (const measurement of await bench.run()) {
    console.log(`  ${describe(measurement)}`);
    if (!isMet(measurement)) process.exitCode = 1;
  }
}

function describe(measurement: Measurement): string {
  const { what, value, unit, reference, bound } = measurement;
  const figure = `${what}: ${round(value)} ${unit}`;
  const against =
    reference === undefined
      ? ''
      : `; ${reference.what}: ${round(reference.value)} ${unit}; ratio ${(value / reference.value).toFixed(2)}`;
  if (bound === undefined) return figure + against;
  const limit = 'atMost' in bound ? `≤ ${bound.atMost}` : `≥ ${bound.atLeast}`;
  return `${figure}${against} (bound ${limit}: ${isMet(measurement) ? 'met' : 'MISSED'})`;
}

function isMet({ value, reference, bound }: Measurement): boolean {
  if (bound === undefined) return true;
  const judged = reference === undefined ? value : value / reference.value;
  return 'atMost' in bound ? judged <= bound.atMost : judged >= bound.atLeast;
}

function round(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toFixed(value >= 10 ? 1 : 2);
}
