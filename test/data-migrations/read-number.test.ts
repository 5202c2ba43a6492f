import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Load } from '../../src/data-migrations/define-signal.ts';
import { applicationLatency } from '../../src/data-migrations/signals/application-latency.ts';
import { disk } from '../../src/data-migrations/signals/disk.ts';
import { readNumber } from '../../src/data-migrations/signals/read-number.ts';
import { limitsWith } from './limits.ts';

const metrics = `# HELP request_seconds Time of requests
# TYPE request_seconds summary
request_seconds_count 12
request_seconds{quantile="0.5",route="/a}b"} 0.04
request_seconds{ route="/a}b", quantile="0.95" } 0.8 1712345678
request_seconds{quantile="0.99",route="say \\"hi\\""} 2.5e0
node_filesystem_avail_bytes{mountpoint="/data"} 5.36870912e+08
broken NaN
`;
const answers: Record<string, { status?: number; body: string }> = {
  '/metrics': { body: metrics },
  '/json': {
    body: '{"data":{"p95":12.5,"a/b":{"~":3},"list":[{"value":[1,"0.25"]}],"text":"many","gone":null}}',
  },
  '/words': { body: 'fine, thanks' },
  '/broken': { status: 503, body: 'busy' },
  '/endless': { body: 'x'.repeat(5 * 1_048_576) },
};

let server: Server;
let origin: string;
beforeAll(async () => {
  server = createServer((request, response) => {
    const answer = answers[(request.url ?? '').split('?')[0] ?? ''];
    // Where nothing is given, nothing is answered.
    if (answer !== undefined) response.writeHead(answer.status ?? 200).end(answer.body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  origin = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
});
afterAll(async () => {
  server.closeAllConnections();
  server.close();
  await once(server, 'close');
});

describe('a number', () => {
  test.each([
    ['/metrics', 'request_seconds{quantile="0.95"}', 0.8],
    ['/metrics', 'request_seconds{quantile="0.95",route="/a}b"}', 0.8],
    ['/metrics', 'request_seconds{route="say \\"hi\\""}', 2.5],
    ['/metrics', 'request_seconds_count', 12],
    ['/metrics', 'request_seconds', 0.04],
    ['/metrics', 'node_filesystem_avail_bytes{mountpoint="/data"}', 536_870_912],
    ['/json', '/data/p95', 12.5],
    ['/json', '/data/a~1b/~0', 3],
    ['/json', '/data/list/0/value/1', 0.25],
  ])('is found: %s %s', async (path, value, expected) => {
    expect(await readNumber({ url: `${origin}${path}`, value })).toBe(expected);
  });

  test.each([
    ['/metrics', 'request_seconds{quantile="0.9"}', /no number for/],
    ['/metrics', 'request', /no number for/],
    ['/metrics', 'broken', /no number for/],
    ['/json', '/data/p50', /no number for/],
    ['/json', '/data/text', /no number for/],
    ['/json', '/data/gone', /no number for/],
    ['/json', '/data/constructor', /no number for/],
    ['/words', '/p95', /no JSON/],
    ['/broken', '/p95', /answered 503/],
    ['/endless', '/p95', /more than 4194304 bytes/],
    ['/silent', '/p95', /did not answer within 3000 ms/],
  ])('is not found: %s %s', async (path, value, why) => {
    expect(await readNumber({ url: `${origin}${path}`, value })).toEqual({ why: expect.stringMatching(why) });
  });

  test('of a server that is not there', async () => {
    expect(await readNumber({ url: 'http://127.0.0.1:1/', value: '/a' })).toEqual({
      why: expect.stringMatching(/ECONNREFUSED|bad port/),
    });
  });
});

const look = async (
  signal: typeof disk,
  limits: Parameters<typeof limitsWith>[0],
): Promise<readonly Load[]> =>
  signal.watch()(
    { query: () => Promise.reject(new Error('not asked')), applicationName: 'a', now: () => 0 },
    limitsWith(limits),
  );

test("the application's latency is compared with its limit, in its own unit", async () => {
  const value = 'request_seconds{quantile="0.95"}';
  const url = `${origin}/metrics?key=secret`;
  expect(await look(applicationLatency, { latency: { url, value, limit: 0.5 } })).toEqual([
    { level: 1.6, says: `the application's latency is 0.8, limit 0.5 (${origin}/metrics)` },
  ]);
});

test('where the URL gives no number, batches pause: all may not be well', async () => {
  const latency = { url: `${origin}/broken?key=secret`, value: '/p95', limit: 1 };
  expect(await look(applicationLatency, { latency })).toEqual([
    {
      level: Number.POSITIVE_INFINITY,
      says: `the application's latency cannot be read at ${origin}/broken: it answered 503`,
    },
  ]);
  const place = { url: `${origin}/broken?key=secret`, value: 'free' };
  const [load] = await look(disk, { disk: place });
  expect(load).toEqual({
    level: Number.POSITIVE_INFINITY,
    says: `what is free on the disk cannot be read at ${origin}/broken: it answered 503`,
  });
});

test('what is free on the disk, from a URL', async () => {
  const place = { url: `${origin}/metrics`, value: 'node_filesystem_avail_bytes{mountpoint="/data"}' };
  expect(await look(disk, { disk: place, freeDiskBytes: 1_073_741_824 })).toEqual([
    { level: 2, says: '512 MiB are free on the disk, limit 1 GiB' },
  ]);
});
