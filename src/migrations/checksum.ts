import { createHash } from 'node:crypto';

/** SHA-256 of a migration's file, in hexadecimal, as it stands in `_prisma_migrations.checksum`. */
export const checksum = (sql: Buffer): string => createHash('sha256').update(sql).digest('hex');

/**
 * Whether a file is the one that was applied. Like Prisma's, it lets line ends differ (Git on Windows rewrites them) and
 * knows the form of Prisma's first versions, which left out the leading zero of each byte.
 * Source: prisma-engines, schema-engine, checksum.rs.
 */
export function checksumMatches(sql: Buffer, applied: string): boolean {
  if (checksum(sql) === applied) return true;
  // Latin 1 keeps every byte as it is.
  const text = sql.toString('latin1');
  const variants = [text, text.replaceAll('\r\n', '\n'), text.replaceAll('\n', '\r\n')];
  return variants
    .map((variant) => checksum(Buffer.from(variant, 'latin1')))
    .some((found) => applied === (applied.length === found.length ? found : withoutPadding(found)));
}

const withoutPadding = (hexadecimal: string): string => hexadecimal.replace(/0(.)|(..)/g, '$1$2');
