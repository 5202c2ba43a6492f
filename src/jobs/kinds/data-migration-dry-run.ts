import { v7 as newId } from 'uuid';
import { z } from 'zod';
import { type DryRun, dryRun } from '../../data-migrations/dry-run.ts';
import { dataMigrationSpec } from '../../data-migrations/spec.ts';
import { targetsOf } from '../data-migrations/targets.ts';
import { databaseOf } from '../databases.ts';
import { defineJob } from '../define-job.ts';

/** Says what a data migration would do, from its first batch, which is rolled back. */
export const dataMigrationDryRun = defineJob({
  name: 'data-migration-dry-run',
  queue: 'operations',
  payload: z.strictObject({ spec: dataMigrationSpec }),
  steps: ['try'],
  exclusive: false,
  attempts: 1,
  backoffMs: () => 0,
  whenInterrupted: 'resume',
  async run({ job, payload: { spec }, deps, signal, step }): Promise<DryRun> {
    const { source, written } = targetsOf(deps.config, databaseOf(deps.config, job.database), spec);
    const places = { source: source.target, written: written === source ? null : written.target };
    return step('try', () =>
      dryRun({ id: newId(), spec, ...places, transforms: deps.config.transforms, signal }),
    );
  },
});
