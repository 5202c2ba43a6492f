import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Webhook } from 'standardwebhooks';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { isPublic } from '../../src/alerts/sinks/public-address.ts';
import { webhook } from '../../src/alerts/sinks/webhook.ts';
import type { AppError } from '../../src/errors.ts';
import { startWebhookReceiver, type WebhookReceiver } from '../support/webhook-receiver.ts';

const secret = `whsec_${randomBytes(24).toString('base64')}`;
const message = {
  id: '01a205e1-d654-7500-99ea-d63d4771b8aa',
  condition: 'job-failed',
  severity: 'critical',
  database: 'orders',
  title: 'The deployment of orders failed.',
  createdAt: new Date('2026-03-01T03:00:00Z'),
  body: { job: { id: 'x' } },
};
let receiver: WebhookReceiver;
beforeEach(async () => {
  receiver = await startWebhookReceiver();
});
afterEach(() => receiver.close());

const options = (more: object = {}) => ({
  type: 'webhook' as const,
  name: 'chat',
  url: receiver.url,
  secret,
  allowPrivateAddresses: true,
  ...more,
});
const send = (given: ReturnType<typeof options>) =>
  webhook.send(given, message, new AbortController().signal);

test('is signed so that any Standard Webhooks library verifies it', async () => {
  await send(options());
  const [{ headers, body }] = receiver.received as [WebhookReceiver['received'][number]];
  const given = {
    'webhook-id': String(headers['webhook-id']),
    'webhook-timestamp': String(headers['webhook-timestamp']),
    'webhook-signature': String(headers['webhook-signature']),
  };
  expect(new Webhook(secret).verify(body, given)).toMatchObject({
    type: 'alert.job-failed',
    data: { id: message.id, database: 'orders' },
  });
  expect(() => new Webhook(secret).verify(`${body} `, given)).toThrow();
});

test.each([
  [500, 'SINK_UNREACHABLE'],
  [503, 'SINK_UNREACHABLE'],
  [429, 'SINK_UNREACHABLE'],
  [302, 'SINK_REFUSED'],
  [400, 'SINK_REFUSED'],
  [410, 'SINK_REFUSED'],
])('an answer of %i is %s', async (status, code) => {
  receiver.answerWith(status);
  await expect(send(options())).rejects.toMatchObject({ code, details: { sink: 'chat', status } });
});

test('a receiver that asks for a pause is understood, up to some hours', async () => {
  const asked = ['1200', '999999999', 'Fri, 31 Dec 1999 23:59:59 GMT'];
  const server = createServer((_, response) => {
    response.writeHead(429, { 'retry-after': asked.shift() ?? '' }).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const details = () => send(options({ url })).then(null, (error: AppError) => error.details);
  expect(await details()).toEqual({ sink: 'chat', status: 429, retryAfterSeconds: 1_200 });
  expect(await details()).toEqual({ sink: 'chat', status: 429, retryAfterSeconds: 21_600 });
  expect(await details()).toEqual({ sink: 'chat', status: 429 });
  server.close();
});

test('an answer without end is not waited for', async () => {
  const server = createServer((_, response) => {
    response.writeHead(200);
    const flow = (): void => void response.write(Buffer.alloc(65_536), (error) => error ?? flow());
    flow();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const startedAt = performance.now();
  await send(options({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` }));
  expect(performance.now() - startedAt).toBeLessThan(5_000);
  server.closeAllConnections();
  server.close();
});

test('a receiver that is not there can be tried again', async () => {
  await expect(send(options({ url: 'http://127.0.0.1:1/hook' }))).rejects.toMatchObject({
    code: 'SINK_UNREACHABLE',
  });
});

describe('without leave to call private addresses', () => {
  const disguises = [
    '127.0.0.1',
    'localhost',
    '127.1',
    '0x7f.1',
    '2130706433',
    '[::1]',
    '[::ffff:127.0.0.1]',
    '0.0.0.0',
  ];
  test.each(disguises)('%s is refused, and not called', async (host) => {
    const url = receiver.url.replace('127.0.0.1', host);
    await expect(send(options({ url, allowPrivateAddresses: false }))).rejects.toMatchObject({
      code: 'SINK_REFUSED',
    });
    expect(receiver.received).toHaveLength(0);
  });

  test.each([
    '10.0.0.1',
    '192.168.1.1',
    '172.16.0.1',
    '169.254.169.254',
    '100.64.0.1',
    'fd00::1',
    'fe80::1',
    '64:ff9b::7f00:1',
    '224.0.0.1',
  ])('%s is no public address', (address) => expect(isPublic(address)).toBe(false));

  test.each(['93.184.216.34', '2606:2800:220:1:248:1893:25c8:1946'])('%s is one', (address) =>
    expect(isPublic(address)).toBe(true),
  );
});
