import { collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Control } from '../db/control/control.ts';
import type { App } from './app.ts';

/** Measures every request from here on; the registry has these figures, the process's, and the jobs' by state and kind. */
export function measure(app: App, control: Control): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const requests = new Histogram({
    name: 'switchback_http_request_duration_seconds',
    help: 'Time from a request to the end of its answer',
    labelNames: ['method', 'route', 'status'] as const,
    registers: [registry],
  });
  app.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? 'none';
    requests.observe({ method: request.method, route, status: reply.statusCode }, reply.elapsedTime / 1_000);
  });
  const jobs = new Gauge({
    name: 'switchback_jobs',
    help: 'Jobs in the control database',
    labelNames: ['kind', 'state'] as const,
    registers: [registry],
    async collect() {
      jobs.reset();
      const counted = await control.prisma.job.groupBy({ by: ['kind', 'state'], _count: true });
      for (const { kind, state, _count } of counted) jobs.set({ kind, state }, _count);
    },
  });
  const rows = new Gauge({
    name: 'switchback_data_migration_rows',
    help: 'Rows of data migrations that have not ended',
    labelNames: ['database', 'id', 'name', 'rows'] as const,
    registers: [registry],
    async collect() {
      rows.reset();
      const open = await control.prisma.dataMigration.findMany({
        where: { ended: null },
        select: { id: true, database: true, name: true, progress: true },
      });
      for (const { id, database, name, progress } of open)
        for (const [what, count] of Object.entries(countsOf(progress)))
          rows.set({ database, id, name, rows: what }, count);
    },
  });
  return registry;
}

/** What is not known yet is left out. */
function countsOf(progress: unknown): Record<string, number> {
  const { scanned, changed, quarantined, total } = (progress ?? {}) as Record<string, number | null>;
  const counts = Object.entries({ scanned, changed, quarantined, total });
  return Object.fromEntries(
    counts.filter((entry): entry is [string, number] => typeof entry[1] === 'number'),
  );
}
