import { z } from 'zod';

const status = z.enum(['pass', 'warn', 'fail']);

const finding = z.object({
  status,
  observedValue: z.number().optional(),
  observedUnit: z.string().optional(),
  output: z.string().optional().describe('What it means, and what to do, where it does not pass'),
  time: z.string(),
  durationMs: z.number(),
});
export type Finding = z.infer<typeof finding>;

/** What checks found, in the form of `application/health+json`. */
export const outcome = z.object({
  status,
  checks: z
    .record(z.string(), z.array(finding))
    .describe('By `<database>:<check>`, or `switchback:<part>` for parts of Switchback'),
});
export type Outcome = z.infer<typeof outcome>;

/** Without a token, only the status; with one, the checks of the databases that it is for. */
export const health = outcome.partial({ checks: true }).meta({ id: 'Health' });
export type Health = z.infer<typeof health>;
