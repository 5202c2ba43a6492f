import type { Allowance } from '../config.ts';

/** How what a migration, or its rollback, removes is kept in the vault. */
export interface Keeping {
  /** Id of the deployment or the rollback; the entries carry it. */
  readonly operation: string;
  readonly retentionDays: number;
  /** All that the vault may hold in the database; null for no limit. */
  readonly limitBytes: number | null;
  /** What to do where it would hold more. */
  readonly whenFull: 'refuse' | 'backup';
  /** Id of the operation's verified backup: with `whenFull: 'backup'` it takes the vault's place. */
  readonly backup: string | null;
  /** `VAULT_CANNOT_KEEP` among them lets a statement run of which nothing can be kept. */
  readonly allow: readonly Allowance[];
}
