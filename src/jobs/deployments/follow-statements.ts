import type { ApplyEvent } from '../../migrations/apply-event.ts';
import type { PlannedMigration } from '../../migrations/plan.ts';
import type { JobContext, Progress } from '../define-job.ts';

type Noting = Pick<JobContext<unknown>, 'note'>;

/**
 * Makes what turns the executor's events into progress, in statements, and notes.
 * @param done `applied` or `rolled back`
 */
export function followStatements(
  context: Noting,
  migrations: readonly Pick<PlannedMigration, 'segments'>[],
  progress: Progress,
  done: 'applied' | 'rolled back',
): { readonly report: (event: ApplyEvent) => void; readonly finished: () => void } {
  const total = migrations
    .flatMap(({ segments }) => segments)
    .reduce((sum, segment) => sum + segment.steps.length, 0);
  const unit = 'statements';
  let run = 0;
  return {
    report(event) {
      if (event.type === 'step') {
        const { migration, step } = event;
        progress({ done: run, total, unit, message: `${migration}, line ${step.line}: ${step.summary}` });
        run = Math.min(run + 1, total);
      } else if (event.type === 'statement progress') {
        const { migration, phase } = event;
        const message = `${migration}: ${phase}, ${event.done} of ${event.total} blocks`;
        progress({ done: run, total, unit, message });
      } else noteEvent(context, event, done);
    },
    finished: () => progress({ done: total, total, unit }),
  };
}

type Notable = Exclude<ApplyEvent, { type: 'step' | 'statement progress' }>;

/** Notes what a reader of the job's log wants to know at once. */
export const noteEvent = (
  context: Noting,
  event: ApplyEvent,
  done: 'applied' | 'rolled back' = 'applied',
): void => {
  if (event.type !== 'step' && event.type !== 'statement progress') context.note(...describe(event, done));
};

function describe(event: Notable, done: string): [string, Record<string, unknown>?] {
  switch (event.type) {
    case 'waiting': {
      const { lock, holders, waitedMs } = event.wait;
      return [
        `Waiting for ${lock === 'prisma' ? "Prisma's migration lock" : "a predecessor's session to end"}, held by ${holders}`,
        { waitedMs },
      ];
    }
    case 'orphans ended':
      return [`Ended ${event.count} session(s) that a killed worker had left running`];
    case 'migration started':
      return [`${event.migration} (${event.index} of ${event.of})`, { migration: event.migration }];
    case 'remark':
      return [`${event.migration}: ${event.remark}`, { migration: event.migration }];
    case 'migration applied': {
      const { name, durationMs } = event.outcome;
      return [`${name} ${done} in ${durationMs} ms`, { migration: name, durationMs }];
    }
  }
}
