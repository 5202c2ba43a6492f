import type { Severity } from './violation.ts';

/** What a team decides for one database. */
export interface Policy {
  /** By rule: another severity than the rule's own, or off. */
  readonly rules: Readonly<Record<string, Severity | 'off'>>;
  readonly thresholds: {
    /** Work under a lock that is estimated to take no longer is safe. Seconds. */
    readonly briefSeconds: number;
    /** More existing tables than this locked exclusively in one transaction are worth a word. */
    readonly lockedTables: number;
  };
}

export const defaultPolicy: Policy = { rules: {}, thresholds: { briefSeconds: 0.5, lockedTables: 5 } };
