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
  return registry;
}
