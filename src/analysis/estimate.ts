import type { TableFacts } from './facts.ts';

/** Work whose time grows with a table. */
export interface Work {
  readonly kind: 'scan' | 'rewrite' | 'index';
  /** Key of the table. */
  readonly table: string;
}

/**
 * Bytes (of the table) and rows that a server gets through in a second: deliberately slow figures, of a cloud volume
 * with a cold cache. An estimate only has to tell milliseconds from minutes.
 */
const speeds = {
  scan: { bytes: 150e6, rows: 5e6 },
  rewrite: { bytes: 30e6, rows: 400e3 },
  index: { bytes: 100e6, rows: 600e3 },
} as const;

/** Seconds that the work takes; a rewrite builds the indexes anew too. */
export function estimate(kind: Work['kind'], facts: TableFacts): number {
  const { bytes, rows } = speeds[kind];
  const indexes = kind === 'rewrite' ? facts.indexBytes / speeds.index.bytes : 0;
  return Math.max(facts.bytes / bytes, Math.max(facts.rows, 0) / rows) + indexes;
}

/** `under 1 s`, `about 40 s`, `about 12 min`, `about 3 h`. */
export function duration(seconds: number): string {
  if (seconds < 1) return 'under 1 s';
  if (seconds < 100) return `about ${Math.round(seconds)} s`;
  if (seconds < 6000) return `about ${Math.round(seconds / 60)} min`;
  return `about ${Math.round(seconds / 3600)} h`;
}

/** `200 rows, 16 kB`. */
export const size = ({ rows, bytes }: TableFacts): string =>
  `${rows < 0 ? 'an unknown number of' : `about ${rows.toLocaleString('en')}`} rows, ${bytesText(bytes)}`;

function bytesText(bytes: number): string {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value < 10 && unit > 0 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}
