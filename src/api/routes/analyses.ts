import { z } from 'zod';
import { AppError } from '../../errors.ts';
import { type AnalysisOrder, analyseOrder } from '../../jobs/analysis/analyse.ts';
import type { Format } from '../../jobs/analysis/analysis-tasks.ts';
import type { App } from '../app.ts';
import { callerOf, databaseFor } from '../authentication.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { analysisQuery, analysisReport, analysisRequest, maxSqlBytes } from '../schemas/analysis.ts';

const mediaTypes: Readonly<Record<Format, string>> = {
  json: 'application/json',
  markdown: 'text/markdown',
  sarif: 'application/sarif+json',
};

export function analyses(app: App, deps: ApiDependencies): void {
  app.route({
    method: 'POST',
    url: '/api/analyses',
    // In JSON a line break is two characters; the texts themselves are counted below.
    bodyLimit: 2.5 * maxSqlBytes,
    config: { access: 'read', idempotent: true },
    schema: {
      tags: ['analyses'],
      operationId: 'createAnalysis',
      summary: 'Analyse SQL, a bundle or a folder: what it does to the application, and what to do instead',
      querystring: analysisQuery,
      body: analysisRequest,
      response: {
        200: {
          description: 'The report; it is not kept',
          content: {
            [mediaTypes.json]: { schema: analysisReport },
            [mediaTypes.markdown]: { schema: z.string() },
            [mediaTypes.sarif]: { schema: z.looseObject({}).describe('SARIF 2.1.0') },
          },
        },
      },
    },
    handler: async (request, reply) => {
      const { database, previousSchema, notices, only } = request.body;
      const { directory } = request.query;
      const format = request.query.format ?? accepted(request.headers.accept);
      const { text } = await analyseOrder(deps, {
        of: subjectOf(request.body),
        only,
        database: database === undefined ? null : databaseFor(callerOf(request), deps.config, database),
        previousSchema,
        notices,
        format,
        directory,
      });
      return reply.type(`${mediaTypes[format]}; charset=utf-8`).send(text);
    },
  });
}

/** @throws AppError `BODY_TOO_LARGE` */
function subjectOf({
  sql,
  name = 'migration',
  bundle,
  migrations = [],
}: z.infer<typeof analysisRequest>): AnalysisOrder['of'] {
  if (bundle !== undefined) return { kind: 'bundle', id: bundle };
  const texts = sql === undefined ? migrations.map((migration) => migration.sql) : [sql];
  const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  if (bytes > maxSqlBytes)
    throw new AppError(
      'BODY_TOO_LARGE',
      `The SQL has ${bytes} bytes; ${maxSqlBytes} are allowed. Send fewer migrations, or a bundle.`,
      { bytes, maxBytes: maxSqlBytes },
    );
  return sql === undefined ? { kind: 'folder', migrations } : { kind: 'text', migration: { name, sql } };
}

/** The first of ours among what is accepted most; JSON where there is none. */
function accepted(header = ''): Format {
  const wanted = header
    .split(',')
    .map((part) => {
      const [type = '', ...parameters] = part.split(';').map((piece) => piece.trim().toLowerCase());
      const quality = parameters.find((one) => one.startsWith('q='));
      return { type, quality: quality === undefined ? 1 : Number(quality.slice(2)) };
    })
    .sort((a, b) => b.quality - a.quality);
  const formats = Object.keys(mediaTypes) as Format[];
  for (const { type } of wanted) {
    const found = formats.find((format) => mediaTypes[format] === type);
    if (found !== undefined) return found;
  }
  return 'json';
}
