import { pino } from 'pino';
import { configSchema } from '../config.ts';
import { buildApp } from './app.ts';

/** The OpenAPI document of all routes, made without a server, a database or a queue. */
export async function openApiDocument(): Promise<object> {
  const { $schema: _, ...defaults } = configSchema.parse({});
  const app = await buildApp({
    config: { ...defaults, file: null },
    control: absent('control database', { listener: { on: () => () => undefined } }),
    queue: absent('queue'),
    analyst: absent('analyst'),
    log: pino({ level: 'silent' }),
  });
  const document = app.swagger();
  await app.close();
  return document;
}

/** Stands for what describing the routes does not touch, but for what is `present`. */
const absent = <T extends object>(name: string, present: object = {}): T =>
  new Proxy(present as T, {
    get(target, property) {
      if (property in target) return Reflect.get(target, property);
      throw new Error(`The description of the routes used the ${name} (${String(property)}).`);
    },
  });
