import { fastifySwaggerUi } from '@fastify/swagger-ui';
import type { App } from '../app.ts';

/** The documentation page below `/docs`. Like every route that says nothing else, it needs `read`. */
export async function registerSwaggerUi(app: App): Promise<void> {
  await app.register(fastifySwaggerUi, {
    routePrefix: '/docs',
    staticCSP: true,
    uiConfig: { deepLinking: true, tryItOutEnabled: false },
  });
}
