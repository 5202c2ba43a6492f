import { z } from 'zod';
import type { App } from '../app.ts';

/** Figures for Prometheus. */
export function metrics(app: App): void {
  app.route({
    method: 'GET',
    url: '/metrics',
    config: { access: 'read' },
    schema: {
      tags: ['about'],
      operationId: 'getMetrics',
      summary: 'Figures for Prometheus: jobs, requests, the process',
      response: { 200: { description: 'Figures', content: { 'text/plain': { schema: z.string() } } } },
    },
    handler: async (_request, reply) => {
      reply.type(app.metrics.contentType);
      return app.metrics.metrics();
    },
  });
}
