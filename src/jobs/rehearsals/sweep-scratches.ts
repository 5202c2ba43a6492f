import type { Config } from '../../config.ts';
import { terminalStates } from '../../db/control/job-rows.ts';
import { withSession } from '../../db/session.ts';
import { parseTarget, type Target } from '../../db/target.ts';
import { AppError } from '../../errors.ts';
import { sweepScratches } from '../../schema/scratch.ts';
import type { JobDependencies } from '../dependencies.ts';

/**
 * Drops the scratch databases of jobs that are over, on all servers on which some may have been made. Each role drops its
 * own. Several workers may do it at once: what is gone already is no harm.
 */
export async function sweepAllScratches({ config, control, log }: JobDependencies): Promise<void> {
  const isOver = async (id: string): Promise<boolean> =>
    (await control.prisma.job.count({ where: { id, state: { in: [...terminalStates] } } })) > 0;
  const left = new Map<string, { server: string; database: string; reason: string }>();
  for (const target of placesOf(config)) {
    const server = `${target.host}:${target.port}`;
    const at = (database: string): string => `${server}/${database}`;
    try {
      const swept = await withSession(
        target,
        { applicationName: 'switchback:sweep', doing: 'dropping scratch databases' },
        (session) => sweepScratches(session, isOver),
      );
      for (const database of swept.dropped) {
        left.delete(at(database));
        log.info({ server, database }, 'dropped what a job had left');
      }
      for (const { name: database, reason } of swept.left)
        left.set(at(database), { server, database, reason });
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      log.debug({ server, err: error }, 'scratch databases cannot be looked for');
    }
  }
  for (const one of left.values()) log.warn(one, 'a scratch database cannot be dropped');
}

/** Every server with every role by which scratch databases are made there. */
function placesOf({ databases }: Config): Iterable<Target> {
  const places = new Map<string, Target>();
  for (const { url, scratchUrl } of databases) {
    const target = parseTarget(scratchUrl ?? url);
    places.set(`${target.user}@${target.host}:${target.port}`, target);
  }
  return places.values();
}
