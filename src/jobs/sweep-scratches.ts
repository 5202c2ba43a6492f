import { terminalStates } from '../db/control/job-rows.ts';
import { withSession } from '../db/session.ts';
import { parseTarget, type Target } from '../db/target.ts';
import { AppError } from '../errors.ts';
import { sweepScratches } from '../schema/scratch.ts';
import type { JobDependencies } from './dependencies.ts';

/**
 * Drops the scratch databases of jobs that are over, on all servers on which some may have been made. Several workers may
 * do it at once: what is gone already is no harm.
 */
export async function sweepAllScratches({ config, control, log }: JobDependencies): Promise<void> {
  const servers = new Map<string, Target>();
  for (const { url, scratchUrl } of config.databases) {
    const target = parseTarget(scratchUrl ?? url);
    servers.set(`${target.host}:${target.port}`, target);
  }
  const isOver = async (id: string): Promise<boolean> =>
    (await control.prisma.job.count({ where: { id, state: { in: [...terminalStates] } } })) > 0;
  for (const [server, target] of servers) {
    try {
      const { dropped, left } = await withSession(
        target,
        { applicationName: 'switchback:sweep', doing: 'dropping scratch databases' },
        (session) => sweepScratches(session, isOver),
      );
      for (const database of dropped) log.info({ server, database }, 'dropped what a job had left');
      for (const { name, reason } of left)
        log.warn({ server, database: name, reason }, 'a scratch database cannot be dropped');
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      log.debug({ server, err: error }, 'scratch databases cannot be looked for');
    }
  }
}
