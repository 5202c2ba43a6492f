import { defineRule } from '../define-rule.ts';

export const lockFileMissing = defineRule({
  id: 'lock-file-missing',
  severity: 'caution',
  effect: null,
  summary: '`migration_lock.toml` is missing, or names another provider than PostgreSQL',
  why: 'Prisma writes the file beside the migrations, and refuses to deploy without knowing for which database they were made.',
  peers: ['Atlas: non-linear history'],
  checkFolder({ lockFile }) {
    if (lockFile === undefined) return [];
    if (lockFile === null)
      return [
        {
          migration: null,
          message: 'migration_lock.toml is missing: a deployment stops before it has begun.',
          remedy: 'Commit the file that Prisma wrote beside the migrations: provider = "postgresql"',
        },
      ];
    const provider = /^\s*provider\s*=\s*"([^"]*)"/m.exec(lockFile)?.[1];
    if (provider === undefined || provider === 'postgresql' || provider === 'postgres') return [];
    return [
      {
        migration: null,
        severity: 'dangerous',
        message: `migration_lock.toml says that the migrations were made for ${provider}.`,
        remedy: 'Make them anew for PostgreSQL: Prisma’s SQL for one database does not run on another.',
      },
    ];
  },
});
