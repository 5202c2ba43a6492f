import { fastifySwagger } from '@fastify/swagger';
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod';
import type { App } from '../app.ts';

type TransformObject = typeof jsonSchemaTransformObject;
type Document = ReturnType<TransformObject>;

/** The OpenAPI document, made from the routes' schemas. */
export async function registerSwagger(app: App, version: string): Promise<void> {
  await app.register(fastifySwagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Switchback',
        version,
        description:
          'Deploys Prisma migrations to PostgreSQL in production: looked at first, backed up before, all or nothing.',
        license: { name: 'MIT', identifier: 'MIT' },
      },
      servers: [{ url: '/' }],
      components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
      security: [{ token: [] }],
    },
    transform: jsonSchemaTransform,
    transformObject: (document) => tidy(jsonSchemaTransformObject(document)),
  });
}

const prefix = '#/components/schemas/';

/**
 * Every registered schema comes twice, for requests as `<id>Input` and for responses as `<id>`, whether used or not:
 * keeps those that are referred to, and gives a request's schema its plain name where no response takes it.
 */
function tidy(document: Document): Document {
  if (!('components' in document)) return document;
  const all: Record<string, unknown> = { ...document.components?.schemas };
  const used = new Set<string>();
  const collect = (value: unknown): void => {
    for (const [, name = ''] of JSON.stringify(value).matchAll(/"#\/components\/schemas\/([^"]+)"/g)) {
      if (used.has(name)) continue;
      used.add(name);
      collect(all[name]);
    }
  };
  collect(document.paths ?? {});
  const names = new Map(
    [...used].map((name) => {
      const plain = name.replace(/Input$/, '');
      return [name, used.has(plain) ? name : plain] as const;
    }),
  );
  const schemas = Object.fromEntries([...names].sort().map(([name, plain]) => [plain, all[name]]));
  const whole = JSON.stringify({ ...document, components: { ...document.components, schemas } });
  return JSON.parse(whole, (key, value: unknown) =>
    key === '$ref' && typeof value === 'string' && value.startsWith(prefix)
      ? prefix + (names.get(value.slice(prefix.length)) ?? value.slice(prefix.length))
      : value,
  ) as Document;
}
