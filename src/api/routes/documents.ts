import { z } from 'zod';
import type { App } from '../app.ts';

/** The OpenAPI document. `/docs` shows it as a page. */
export function documents(app: App): void {
  app.route({
    method: 'GET',
    url: '/openapi.json',
    config: { access: 'read' },
    schema: {
      tags: ['about'],
      operationId: 'getOpenApi',
      summary: 'This description',
      response: { 200: z.record(z.string(), z.unknown()) },
    },
    handler: async () => ({ ...app.swagger() }),
  });
}
