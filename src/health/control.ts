/** Checks of the control database. */
import type { Control } from '../db/control/control.ts';
import type { ComponentCheck } from './run.ts';

const waitingSeconds = 60;

/** Whether the control database answers. */
export const controlDatabaseCheck = (control: Control): ComponentCheck => ({
  name: 'switchback:control-database',
  timeoutMs: 2_000,
  async run() {
    const startedAt = performance.now();
    await control.prisma.$queryRaw`select 1`;
    return {
      status: 'pass',
      observedValue: Math.round(performance.now() - startedAt),
      observedUnit: 'ms',
    };
  },
});

/** Jobs that are due and that no worker takes: there are too few workers, or none for their queue. */
export const backlogCheck = (control: Control): ComponentCheck => ({
  name: 'switchback:backlog',
  timeoutMs: 2_000,
  async run() {
    const dueBefore = new Date(Date.now() - waitingSeconds * 1_000);
    const waiting = await control.prisma.job.count({ where: { state: 'queued', dueAt: { lt: dueBefore } } });
    const measured = { observedValue: waiting, observedUnit: 'jobs' };
    if (waiting === 0) return { status: 'pass', ...measured };
    return {
      status: 'warn',
      ...measured,
      output: `due for more than ${waitingSeconds} s and not begun: there are too few workers, or their slots are taken`,
    };
  },
});
