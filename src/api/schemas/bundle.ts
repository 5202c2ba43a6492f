import { z } from 'zod';
import { bundleId } from './record.ts';

export const bundle = z
  .object({
    id: z.string().describe('SHA-256 over the names and contents of its migrations'),
    migrations: z.int(),
    dataMigrations: z
      .array(
        z.object({
          name: z.string(),
          migration: z.string().describe('In whose folder it is'),
          kind: z.string(),
          table: z.string(),
        }),
      )
      .describe('What `POST /api/data-migrations` can start by `bundle` and `name`'),
    bytes: z.int().describe('Size of the archive'),
    createdAt: z.date(),
    createdBy: z.string(),
  })
  .meta({ id: 'Bundle' });

export const bundleParameter = z.strictObject({ id: bundleId });

/** The body is the archive itself; its parser gives a buffer. */
export const archive = z
  .custom<Buffer>((body) => Buffer.isBuffer(body), 'a tar.gz archive, as application/gzip')
  .meta({ type: 'string', format: 'binary' });
