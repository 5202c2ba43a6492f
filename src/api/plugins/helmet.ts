import { fastifyHelmet } from '@fastify/helmet';
import type { App } from '../app.ts';

/** Security headers. The documentation page loads nothing from elsewhere (`staticCSP` of swagger-ui adds its own). */
export async function registerHelmet(app: App): Promise<void> {
  await app.register(fastifyHelmet, {
    contentSecurityPolicy: { directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] } },
    // Whether TLS is spoken is the business of the proxy in front.
    strictTransportSecurity: false,
    referrerPolicy: { policy: 'no-referrer' },
  });
}
