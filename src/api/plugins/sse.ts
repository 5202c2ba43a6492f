import { fastifySSE } from '@fastify/sse';
import type { App } from '../app.ts';

/** Server-Sent Events for the routes that have `sse`. Comments keep proxies from closing a quiet stream. */
export async function registerSse(app: App): Promise<void> {
  await app.register(fastifySSE, { heartbeatInterval: 15_000 });
}
