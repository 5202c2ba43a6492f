import { z } from 'zod';
import { defaultPolicy, type Policy } from '../analysis/policy.ts';
import { severities } from '../analysis/violation.ts';

const { thresholds } = defaultPolicy;

/** A team's decisions. What it does not name stays as it is by default. */
export const policySchema = z.strictObject({
  $schema: z.string().optional(),
  rules: z.record(z.string(), z.enum([...severities, 'off'])).default({}),
  thresholds: z
    .strictObject({
      briefSeconds: z.number().min(0).default(thresholds.briefSeconds),
      lockedTables: z.int().min(0).default(thresholds.lockedTables),
    })
    .prefault({}),
});

/** Tells each fault, and gives null where the form is not that of a policy. `known`: ids of all rules. */
export function parsePolicy(
  value: unknown,
  known: ReadonlySet<string>,
  tell: (fault: string) => void,
): Policy | null {
  const { success, data, error } = policySchema.safeParse(value);
  if (!success) {
    for (const issue of error.issues) tell(`${issue.path.join('.') || 'the file'}: ${issue.message}`);
    return null;
  }
  for (const id of Object.keys(data.rules)) if (!known.has(id)) tell(`rules.${id}: there is no such rule`);
  return { rules: data.rules, thresholds: data.thresholds };
}
