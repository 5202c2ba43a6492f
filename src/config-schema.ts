/** The form of the configuration: what may stand in the file, with defaults. */
import { z } from 'zod';
import { policy } from './policy-config.ts';

const name = z
  .string()
  .regex(
    /^[a-z][a-z0-9_-]{0,62}$/,
    'lower-case letters, digits, "_" and "-", beginning with a letter, at most 63',
  );
const postgresUrl = z.url({ protocol: /^postgres(ql)?$/, error: 'a postgres:// URL' });
const seconds = (fallback: number) => z.int().min(1).max(86_400).default(fallback);

const database = z
  .strictObject({
    name: name.describe('How the API calls this database'),
    url: postgresUrl.describe(
      "Direct URL of the database, with Prisma's parameters; not a transaction pooler's",
    ),
    scratchUrl: postgresUrl
      .optional()
      .describe(
        'A database of the server on which scratch databases are made, of the same major version; its own server when absent',
      ),
    migrations: z
      .string()
      .min(1)
      .describe('Directory with migration_lock.toml, relative to the configuration file'),
    schema: z
      .string()
      .min(1)
      .optional()
      .describe("The application's schema.prisma, relative to the configuration file"),
    previousSchema: z
      .string()
      .min(1)
      .optional()
      .describe(
        'Prisma schema (a file, or the folder of its parts) of the release that still runs, relative to the configuration file',
      ),
    environment: z.string().min(1).max(63).default('production'),
    healthUrls: z
      .array(z.url({ protocol: /^https?$/ }))
      .max(20)
      .default([])
      .describe("The application's critical paths, probed after a deployment"),
    policy,
  })
  .meta({ id: 'DatabaseConfig' });

export const scopes = ['read', 'operate', 'approve', 'admin'] as const;
export type Scope = (typeof scopes)[number];

const token = z.strictObject({
  name: name.describe('Stands in every record that the token asks for'),
  sha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/, 'the SHA-256 of the token, in hexadecimal')
    .describe('SHA-256 of the token; the token itself is never stored'),
  scopes: z.array(z.enum(scopes)).min(1),
  databases: z
    .array(z.union([z.literal('*'), name]))
    .min(1)
    .default(['*']),
  expiresAt: z.iso.datetime({ offset: true }).optional(),
});
export type TokenConfig = z.infer<typeof token>;

const webhookSink = z.strictObject({
  type: z.literal('webhook'),
  name: name,
  url: z.url({ protocol: /^https?$/ }),
  secret: z
    .string()
    .regex(/^whsec_[A-Za-z0-9+/=]{32,}$/, 'whsec_ followed by at least 24 bytes in base64')
    .describe('Signing key, Standard Webhooks form'),
  allowPrivateAddresses: z.boolean().default(false).describe('Deliver to loopback and private networks too'),
});
export type WebhookSinkConfig = z.infer<typeof webhookSink>;

const fileStore = z.strictObject({ type: z.literal('file'), directory: z.string().min(1) });
export type FileStoreConfig = z.infer<typeof fileStore>;

const dataDirectory = '.switchback';

/** The file's form; `docs/configuration.schema.json` is generated from it. */
export const configSchema = z.strictObject({
  $schema: z.string().optional(),
  http: z
    .strictObject({
      host: z.string().min(1).default('127.0.0.1'),
      port: z.int().min(0).max(65_535).default(7410),
      rateLimitPerMinute: z
        .int()
        .min(1)
        .default(600)
        .describe('Requests per token (or address, without one) and minute'),
      maxBundleBytes: z
        .int()
        .min(1_024)
        .max(1_073_741_824)
        .default(16_777_216)
        .describe('Size of an uploaded archive'),
      trustProxy: z.boolean().default(false).describe("Take the caller's address from X-Forwarded-For"),
    })
    .prefault({}),
  controlDatabase: z
    .strictObject({ url: postgresUrl })
    .optional()
    .describe("Where Switchback's own tables live; embedded when absent"),
  queue: z
    .strictObject({
      url: z.url({ protocol: /^(postgres(ql)?|rediss?)$/, error: 'a redis:// or postgres:// URL' }),
      prefix: name.default('switchback').describe('Key prefix in Redis, schema in PostgreSQL'),
    })
    .optional()
    .describe('Where BullMQ keeps its queue; the control database when absent'),
  worker: z
    .strictObject({
      operations: z.int().min(1).max(64).default(4).describe('Operations that one worker runs at once'),
      dataMigrations: z
        .int()
        .min(1)
        .max(64)
        .default(4)
        .describe(
          'Data migrations that one worker runs at once, beside the operations; paused ones do not count',
        ),
      signals: z
        .int()
        .min(1)
        .max(64)
        .default(4)
        .describe('Health checks and deliveries that one worker runs at once'),
      shutdownGraceSeconds: seconds(20).describe(
        'How long a stopping worker lets its jobs go on before it hands them back',
      ),
    })
    .prefault({}),
  dataDirectory: z.string().min(1).default(dataDirectory).describe('Embedded server, first token'),
  databases: z.array(database).max(5_000).default([]),
  tokens: z.array(token).max(1_000).default([]),
  analysis: z
    .strictObject({
      rules: z
        .string()
        .min(1)
        .optional()
        .describe('A module with rules of your own, relative to the configuration file'),
    })
    .prefault({}),
  transforms: z
    .string()
    .min(1)
    .optional()
    .describe(
      'Folder with the modules that data migrations may run on rows, relative to the configuration file',
    ),
  alerts: z
    .strictObject({
      sinks: z.array(webhookSink).max(20).default([]),
      overdueSeconds: seconds(300).describe('A job that runs longer is told while it runs'),
    })
    .prefault({}),
  backups: z
    .strictObject({
      store: fileStore.prefault({ type: 'file', directory: `${dataDirectory}/backups` }),
      lockWaitSeconds: seconds(30).describe("How long pg_dump waits for a table's lock"),
    })
    .prefault({}),
  postgresPrograms: z.string().min(1).optional().describe('Folder with pg_dump, pg_restore and psql'),
  logLevel: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
});

export type Parsed = z.infer<typeof configSchema>;
export type DeepReadonly<T> = T extends (infer Item)[]
  ? readonly DeepReadonly<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: DeepReadonly<T[Key]> }
    : T;

export type Config = DeepReadonly<Omit<Parsed, '$schema'>> & {
  /** The file that was read, or null when the configuration came from the environment alone. */
  readonly file: string | null;
};
export type DatabaseConfig = Config['databases'][number];
