/** The form of `policy.throttle`: how much of a database's strength a data migration may take. */
import { z } from 'zod';

const mebibyte = 1_048_576;
const gibibyte = 1_024 * mebibyte;

/** A limit that null takes away: the signal is not looked at then. */
const limit = (number: z.ZodNumber, fallback: number | null) => number.nullable().default(fallback);
const atLeast = (least: number) => z.int().min(least);

/** One number from somewhere else: an application's metrics, a node exporter, Prometheus's own API. */
const reading = {
  url: z
    .url({ protocol: /^https?$/ })
    .refine((url) => !URL.canParse(url) || new URL(url).username === '', 'a URL without user and password'),
  value: z
    .string()
    .min(1)
    .max(500)
    .describe(
      'Where the number stands: a JSON pointer (`/data/p95`), or a metric of Prometheus\' text with its labels (`request_seconds{quantile="0.95"}`)',
    ),
};

const latency = z.strictObject({
  ...reading,
  limit: z.number().positive().describe('In the unit of that number'),
});

const disk = z.union([
  z.strictObject(reading),
  z.strictObject({ totalBytes: atLeast(1).describe('Size of the disk that the databases and WAL share') }),
]);

export const windowDays = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] as const;

const timeOfDay = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/, 'a time of day such as 22:00');

const window = z
  .strictObject({
    from: timeOfDay,
    to: z.union([timeOfDay, z.literal('24:00')]).describe('Before `from`: on the next day'),
    timeZone: z
      .string()
      .min(1)
      .max(100)
      .refine(isTimeZone, 'a time zone such as Europe/Zurich')
      .describe('Whose clock on the wall is meant'),
    days: z
      .array(z.enum(windowDays))
      .min(1)
      .optional()
      .describe('On which it begins; by default on every day'),
  })
  .refine(({ from, to }) => from !== to, 'a window of no length');

/** By the clock on the wall. */
export type TimeWindow = Readonly<Omit<z.infer<typeof window>, 'days'>> & {
  readonly days?: readonly (typeof windowDays)[number][] | undefined;
};

function isTimeZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}

/** From three quarters of a limit on batches shrink, beyond it they pause. */
export const throttlePolicy = z
  .strictObject({
    replicationLagMs: limit(atLeast(1), 10_000).describe('How far a standby may be behind, in time'),
    replicationLagBytes: limit(atLeast(1), gibibyte).describe('How far a standby may be behind, in WAL'),
    retainedWalBytes: limit(atLeast(1), 10 * gibibyte).describe('WAL that a replication slot may hold back'),
    lockWaitMs: limit(atLeast(1), 1_000).describe('How long others may wait behind locks of a batch'),
    deadlocksPerMinute: limit(atLeast(1), 3).describe('Deadlocks in the database, whoever is in them'),
    timesUsualLatency: limit(z.number().min(1.1), 3).describe(
      "How many times as long as usual the application's statements may take (pg_stat_statements)",
    ),
    meanLatencyMs: limit(z.number().positive(), null).describe(
      "How long the application's statements may take on average (pg_stat_statements)",
    ),
    latency: latency
      .nullable()
      .default(null)
      .describe(
        "The application's latency as it measures it itself; while it gives no number, batches pause",
      ),
    walBytesPerSecond: limit(atLeast(1), 128 * mebibyte).describe('WAL of the whole server'),
    checkpointsPerMinute: limit(atLeast(1), 6).describe(
      'Checkpoints that come before their time since there is too much WAL',
    ),
    freeDiskBytes: limit(atLeast(1), 10 * gibibyte).describe('What has to stay free; see `disk`'),
    disk: disk
      .nullable()
      .default(null)
      .describe(
        'Where the free bytes stand, or the size of the disk: PostgreSQL cannot tell; while the URL gives no number, batches pause',
      ),
    connectionsShare: limit(z.number().gt(0).max(1), 0.9).describe('Of max_connections, by all'),
    window: window.nullable().default(null).describe('The hours in which batches may begin'),
  })
  .prefault({})
  .meta({ id: 'ThrottlePolicy' });
