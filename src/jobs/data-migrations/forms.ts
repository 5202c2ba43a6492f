/** What callers may give for data migrations, beside the specs of their kinds. */
import { z } from 'zod';
import { dataMigrationName, limitsForm, paceForm, parallelismForm } from '../../data-migrations/forms.ts';
import { dataMigrationSpec } from '../../data-migrations/spec.ts';

export { dataMigrationName, dataMigrationSpec };

const { targetMs, maxRows, rowsPerSecond, lockTimeoutMs } = paceForm.shape;

/** What is not given stays as it is. */
export const controlChange = z.strictObject({
  paused: z
    .boolean()
    .optional()
    .describe(
      'True: it stands still after the batches at hand; false: it is gone on with, also after a failure',
    ),
  parallelism: parallelismForm.optional().describe('Ranges of the table that are worked on at once'),
  pace: z
    .strictObject({
      targetMs: targetMs.removeDefault().optional(),
      maxRows: maxRows.removeDefault().optional(),
      rowsPerSecond: rowsPerSecond.removeDefault().optional(),
      lockTimeoutMs: lockTimeoutMs.removeDefault().optional(),
    })
    .optional(),
  limits: limitsForm.optional().describe('Limits of the throttle; they take the place of those given before'),
});
export type ControlChange = z.infer<typeof controlChange>;
