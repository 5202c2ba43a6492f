import type { PlannedMigration } from './plan.ts';
import { isEffective, type Segment, type Step } from './segments.ts';

/** The step at which data is put back. */
const restoring = (after: Step | undefined): Step => ({
  statement: (after?.statement ?? 0) + 1,
  offset: after === undefined ? 0 : after.offset + after.length,
  length: 0,
  line: after?.line ?? 1,
  column: after?.column ?? 1,
  summary: 'the data that its rollback saved is put back',
  blocks: true,
  brief: false,
  waitsForSnapshots: false,
  setting: false,
  replays: false,
  commitsItself: false,
  removals: [],
  writes: 'never',
  rewrites: null,
  addsRows: false,
  sets: [],
  restores: true,
});

/** The migration with its data put back at the end of its last transaction, or in one of its own. */
export function restoringAtEnd(migration: PlannedMigration): PlannedMigration {
  const { segments } = migration;
  const last = segments.at(-1);
  const step = restoring(last?.steps.at(-1));
  const joins = last?.runs === 'transaction' && !last.rollsBack;
  const apart: Segment = {
    runs: 'transaction',
    rollsBack: false,
    explicit: false,
    begin: 'begin',
    steps: [step],
  };
  const ending =
    joins && last !== undefined
      ? [...segments.slice(0, -1), { ...last, steps: [...last.steps, step] }]
      : [...segments, apart];
  return {
    ...migration,
    segments: ending,
    journalled: migration.journalled || ending.filter(isEffective).length > 1,
  };
}
