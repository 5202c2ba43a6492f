import { createHash } from 'node:crypto';

/** SHA-256 of a migration's file, in hexadecimal, as it stands in `_prisma_migrations.checksum`. */
export const checksum = (sql: Buffer): string => createHash('sha256').update(sql).digest('hex');

/**
 * Whether a file is the one that was applied. Like Prisma's, it lets line ends differ: Git on Windows rewrites them.
 * Source: prisma-engines, schema-engine, checksum.rs.
 */
export function checksumMatches(sql: Buffer, applied: string): boolean {
  if (checksum(sql) === applied) return true;
  const lines = sql.toString('latin1').replaceAll('\r\n', '\n');
  return [lines, lines.replaceAll('\n', '\r\n')].some(
    (text) => checksum(Buffer.from(text, 'latin1')) === applied,
  );
}
