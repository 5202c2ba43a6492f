/** Numbers as people read them. */

const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** `1.5 GiB` */
export function inBytes(bytes: number): string {
  const power = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  return `${rounded(bytes / 1_024 ** power)} ${units[power]}`;
}

/** `450 ms`, `14 s` */
export const inTime = (ms: number): string => (ms < 1_000 ? `${rounded(ms)} ms` : `${rounded(ms / 1_000)} s`);

/** Three digits are enough to judge by. */
export const rounded = (value: number): string => String(Number(value.toPrecision(3)));
