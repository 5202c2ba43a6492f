import type { Unparsable } from '../sql/recover.ts';
import type { Finding } from './define-rule.ts';

/** Why a text does not parse, as far as it shows: psql's own commands, another dialect, or simply a mistake. */
const known: readonly (readonly [RegExp, message: string, remedy: string])[] = [
  [
    /^\\/,
    'is a command of psql, not SQL: neither Prisma nor Switchback runs psql.',
    'Write out what the command does: `\\i` as the SQL of that file, `\\copy` as INSERTs or as a step of the application.',
  ],
  [
    /`/,
    'has backticks, as MySQL quotes names.',
    'Generate it for PostgreSQL (`provider = "postgresql"`), which quotes names with ".',
  ],
  [
    /\b(AUTO_INCREMENT|ENGINE\s*=|UNSIGNED)\b/i,
    'is MySQL: PostgreSQL does not know it.',
    'Generate it for PostgreSQL (`provider = "postgresql"`).',
  ],
  [
    /\bAUTOINCREMENT\b|^\s*PRAGMA\b/i,
    'is SQLite: PostgreSQL does not know it.',
    'Generate it for PostgreSQL (`provider = "postgresql"`).',
  ],
  [
    /\[\w+\]\s*\(|^\s*GO\s*$|\bIDENTITY\s*\(\s*\d/im,
    'is SQL Server: PostgreSQL does not know it.',
    'Generate it for PostgreSQL (`provider = "postgresql"`).',
  ],
];

export function isUnparsable({ text, message }: Unparsable): Finding {
  const [, why, remedy] = known.find(([pattern]) => pattern.test(text)) ?? [];
  const shown = text.replace(/\s+/g, ' ').slice(0, 60);
  return {
    message:
      why === undefined
        ? `PostgreSQL's parser refuses this: ${message}. The migration will fail here; what stands before it is undone.`
        : `"${shown}" ${why} The migration will fail here (${message}); what stands before it is undone.`,
    remedy: remedy ?? 'Correct the statement. A file that was saved as UTF-16 has to be saved as UTF-8.',
  };
}
