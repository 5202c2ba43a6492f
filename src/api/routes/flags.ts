import type { SSEMessage } from '@fastify/sse';
import { type FlagChange, openFlagChanges } from '../../jobs/flags/flag-changes.ts';
import { type Flag, setFlag } from '../../jobs/flags/flags.ts';
import type { App } from '../app.ts';
import { type Caller, callerOf, databaseFor, maySee } from '../authentication.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { streamEvents } from '../event-stream.ts';
import { recordQuery, toPage } from '../paging.ts';
import * as schemas from '../schemas/flag.ts';
import { eventHeaders } from '../schemas/job.ts';

const tags = ['flags'];

export function flags(app: App, { config, control }: ApiDependencies): void {
  const changes = openFlagChanges(control);
  app.addHook('onClose', async () => changes.close());

  app.route({
    method: 'GET',
    url: '/api/flags',
    config: { access: 'read' },
    schema: {
      tags,
      operationId: 'listFlags',
      summary: 'List feature flags, newest first, with who changed them last and why',
      querystring: schemas.flagQuery,
      response: { 200: schemas.flagPage },
    },
    handler: async (request) => {
      const found = await control.prisma.flag.findMany(recordQuery(callerOf(request), request.query));
      return toPage(found.map(view), request.query.limit, (item) => item.id);
    },
  });

  app.route({
    method: 'PUT',
    url: '/api/flags/:key',
    config: { access: 'operate' },
    schema: {
      tags,
      operationId: 'setFlag',
      summary: 'Turn a feature flag on or off by hand, whoever owns it',
      params: schemas.flagParameter,
      body: schemas.flagRequest,
      response: { 200: schemas.flag },
    },
    handler: async (request) => {
      const caller = callerOf(request);
      const { state, reason, database } = request.body;
      const place = { database: databaseFor(caller, config, database).name, key: request.params.key };
      return view(await setFlag(control, { ...place, reason, by: caller.name }, state));
    },
  });

  app.route({
    method: 'GET',
    url: '/api/flags/events',
    config: { access: 'read' },
    sse: 'manual',
    schema: {
      tags,
      operationId: 'streamFlagChanges',
      summary: "Follow the flags' changes (Server-Sent Events), in OFREP's form",
      querystring: schemas.flagEventQuery,
      headers: eventHeaders,
      response: {
        200: { description: 'Changes', content: { 'text/event-stream': { schema: schemas.flagChange } } },
      },
    },
    handler: async (request, reply) => {
      const caller = callerOf(request);
      const { database, after } = request.query;
      if (database !== undefined) databaseFor(caller, config, database);
      const last = request.headers['last-event-id'];
      // Before the headers go out: whoever has them has missed nothing.
      const place = last === undefined ? (after ?? (await changes.latest())) : Number(last);
      await streamEvents(reply, app.closing, (signal) =>
        messages(changes.tail(place, signal), caller, database),
      );
    },
  });
}

const view = ({ ownerKind, owner, ...flag }: Flag) => ({
  ...flag,
  owner: { kind: schemas.flag.shape.owner.shape.kind.parse(ownerKind), name: owner },
  state: schemas.flagState.parse(flag.state),
});

async function* messages(
  found: AsyncIterable<FlagChange>,
  caller: Caller,
  database: string | undefined,
): AsyncGenerator<SSEMessage> {
  for await (const change of found) {
    if (!maySee(caller, change.database) || (database ?? change.database) !== change.database) continue;
    const { key, state, reason, by } = change;
    const lastModified = Math.floor(change.at.getTime() / 1_000);
    yield {
      id: String(change.number),
      event: 'message',
      data: { type: 'refetchEvaluation', lastModified, database: change.database, key, state, reason, by },
    };
  }
}
