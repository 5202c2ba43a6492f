import type { Bundle } from '../../db/control/generated/client.ts';
import { AppError } from '../../errors.ts';
import { storeBundle } from '../../jobs/deployments/store-bundle.ts';
import type { App } from '../app.ts';
import { type Caller, callerOf, maySee } from '../authentication.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { archive, bundle, bundleParameter } from '../schemas/bundle.ts';

/** Every column but the archive itself. */
const shown = {
  id: true,
  migrations: true,
  dataMigrations: true,
  bytes: true,
  createdAt: true,
  createdBy: true,
};

type Shown = Pick<Bundle, keyof typeof shown>;

const view = ({ dataMigrations, ...rest }: Shown) => ({
  ...rest,
  dataMigrations: bundle.shape.dataMigrations.parse(dataMigrations),
});

export function bundles(app: App, { config, control }: ApiDependencies): void {
  const { maxBundleBytes } = config.http;
  app.addContentTypeParser(
    ['application/gzip', 'application/x-gzip', 'application/x-tar+gzip'],
    { parseAs: 'buffer', bodyLimit: maxBundleBytes },
    (_request, body, done) => done(null, body),
  );

  app.route({
    method: 'POST',
    url: '/api/bundles',
    bodyLimit: maxBundleBytes,
    config: { access: 'operate', idempotent: true },
    schema: {
      tags: ['bundles'],
      operationId: 'uploadBundle',
      summary: 'Upload migrations: a tar.gz of a migrations directory',
      consumes: ['application/gzip'],
      body: archive,
      response: { 200: bundle, 201: bundle },
    },
    // Before the body is read: who may not upload does not send megabytes.
    onRequest: async (request) => requireUpload(callerOf(request)),
    handler: async (request, reply) => {
      const { id, created } = await storeBundle(control, request.body, callerOf(request).name);
      reply.code(created ? 201 : 200).header('location', `/api/bundles/${id}`);
      return view(await control.prisma.bundle.findUniqueOrThrow({ where: { id }, select: shown }));
    },
  });

  app.route({
    method: 'GET',
    url: '/api/bundles/:id',
    config: { access: 'read' },
    schema: {
      tags: ['bundles'],
      operationId: 'getBundle',
      summary: 'Read what an uploaded bundle is',
      params: bundleParameter,
      response: { 200: bundle },
    },
    handler: async (request) => {
      const { id } = request.params;
      const found = await control.prisma.bundle.findUnique({ where: { id }, select: shown });
      if (found === null) throw new AppError('BUNDLE_NOT_FOUND', `There is no bundle ${id}.`, { bundle: id });
      return view(found);
    },
  });

  function requireUpload(caller: Caller): void {
    const takes = config.databases.some(
      (database) => database.policy.bundles === 'upload' && maySee(caller, database.name),
    );
    if (!takes)
      throw new AppError(
        'BUNDLE_UPLOAD_FORBIDDEN',
        `No database of the token ${caller.name} takes uploaded bundles. Set a database's policy \`bundles\` to "upload".`,
      );
  }
}
