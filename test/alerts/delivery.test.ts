import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { raiseTestAlert, redeliverAlert } from '../../src/jobs/alerts.ts';
import type { JobKind } from '../../src/jobs/define-job.ts';
import { enqueue } from '../../src/jobs/enqueue.ts';
import { alertDelivery } from '../../src/jobs/kinds/alert-delivery.ts';
import { type RunningWorker, startWorker } from '../../src/jobs/worker.ts';
import { broken } from '../jobs/kinds.ts';
import { openSwitchback, type TestSwitchback } from '../support/switchback.ts';
import { waitFor } from '../support/wait.ts';
import { startWebhookReceiver, type WebhookReceiver } from '../support/webhook-receiver.ts';

const quickDelivery = { ...alertDelivery, attempts: 3, backoffMs: () => 50 };
const kinds = [broken, quickDelivery] as readonly JobKind[];
let receiver: WebhookReceiver;
let switchback: TestSwitchback;
let worker: RunningWorker;

beforeEach(async () => {
  receiver = await startWebhookReceiver();
  const secret = `whsec_${randomBytes(24).toString('base64')}`;
  const sinks = [{ type: 'webhook', name: 'chat', url: receiver.url, secret, allowPrivateAddresses: true }];
  switchback = await openSwitchback({ alerts: { sinks } });
  worker = await startWorker(switchback.deps, { kinds, heartbeatMs: 100, repairMs: 200 });
});
afterEach(async () => {
  await worker.stop();
  await switchback.close();
  await receiver.close();
});

const breakSomething = () =>
  enqueue(switchback.deps, { kind: broken, database: 'orders', payload: {}, requestedBy: 'ci' });

test('a failed job is told, without values of rows, and delivered once', async () => {
  const { jobId } = await breakSomething();
  const { body } = await receiver.next();
  expect(JSON.parse(body)).toMatchObject({
    type: 'alert.job-failed',
    data: {
      severity: 'critical',
      database: 'orders',
      job: { id: jobId, kind: 'broken' },
      error: { code: 'STATEMENT_FAILED', details: { sqlstate: '42P01' } },
    },
  });
  expect(body).not.toContain('ssn');
  const { prisma } = switchback.deps.control;
  await waitFor(async () => (await prisma.delivery.findFirst())?.deliveredAt ?? null, {
    what: 'the delivery',
  });
  expect(receiver.received).toHaveLength(1);
});

test('a receiver that is away is tried again, under the same id', async () => {
  receiver.answerWith(503, 500);
  await breakSomething();
  await waitFor(() => receiver.received.length === 3, { what: 'three tries' });
  expect(new Set(receiver.received.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
});

test('a delivery that is given up raises no alert of its own', async () => {
  receiver.answerWith(400);
  await breakSomething();
  const { prisma } = switchback.deps.control;
  const failed = () => prisma.job.findFirst({ where: { kind: 'alert-delivery', state: 'failed' } });
  expect(await waitFor(failed, { what: 'the failed delivery' })).toMatchObject({
    error: { code: 'SINK_REFUSED' },
  });
  expect(await prisma.alert.count()).toBe(1);
});

test('a test alert arrives, and an alert that is delivered again has an id of its own', async () => {
  await raiseTestAlert(switchback.deps, 'ci');
  const first = await receiver.next(({ body }) => body.includes('alert.test'));
  expect(JSON.parse(first.body)).toMatchObject({ type: 'alert.test', data: { requestedBy: 'ci' } });
  const alert = await switchback.deps.control.prisma.alert.findFirstOrThrow();
  await redeliverAlert(switchback.deps, alert);
  await waitFor(() => receiver.received.length === 2, { what: 'the second delivery' });
  const [one, other] = receiver.received;
  expect(other?.headers['webhook-id']).not.toBe(one?.headers['webhook-id']);
  expect(JSON.parse(other?.body ?? '').data.title).toBe(alert.title);
});
