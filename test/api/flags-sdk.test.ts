/** An application that reads its flags with the OpenFeature SDK for Node and its OFREP provider. */
import { OFREPProvider } from '@openfeature/ofrep-provider';
import { type Client, OpenFeature } from '@openfeature/server-sdk';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { declareFlag, turnOff, turnOn } from '../../src/jobs/flags/flags.ts';
import { bearer, startApi, type TestApi } from './harness.ts';

let api: TestApi;
let baseUrl: string;
beforeAll(async () => {
  api = await startApi();
  baseUrl = await api.app.listen({ port: 0, host: '127.0.0.1' });
});
afterAll(async () => {
  await OpenFeature.close();
  await api.close();
});

async function connect(domain: string, headers: Record<string, string>): Promise<Client> {
  const provider = new OFREPProvider({ baseUrl, headers: Object.entries(headers) as [string, string][] });
  await OpenFeature.setProviderAndWait(domain, provider);
  return OpenFeature.getClient(domain);
}

const write = (change: typeof turnOn, key: string, database = 'orders') =>
  api.deps.control.prisma.$transaction((transaction) =>
    change(transaction, {
      database,
      key,
      owner: { kind: 'data migration', name: 'split-names' },
      reason: 'its validation passed',
      by: 'deployer',
    }),
  );

test("a flag is the application's default before it is there, then what its data migration makes of it", async () => {
  const client = await connect('orders', bearer('reader'));
  const key = 'read-new-names';
  const details = await client.getBooleanDetails(key, true);
  expect(details).toMatchObject({ value: true, reason: 'ERROR', errorCode: 'FLAG_NOT_FOUND' });
  await write(declareFlag, key);
  expect(await client.getBooleanValue(key, true)).toBe(false);
  await write(turnOn, key);
  expect(await client.getBooleanDetails(key, false, { targetingKey: 'user-1' })).toMatchObject({
    value: true,
    reason: 'STATIC',
    variant: 'on',
    flagMetadata: { database: 'orders', owner: 'data migration split-names' },
  });
  await write(turnOff, key);
  expect(await client.getBooleanValue(key, true)).toBe(false);
});

test("the context's database says which flag is meant", async () => {
  const client = await connect('several', bearer('reader'));
  const key = 'read-new-totals';
  await write(turnOn, key);
  await write(declareFlag, key, 'billing');
  expect(await client.getBooleanDetails(key, true)).toMatchObject({
    value: true,
    errorCode: 'INVALID_CONTEXT',
  });
  expect(await client.getBooleanValue(key, true, { database: 'billing' })).toBe(false);
  expect(await client.getBooleanValue(key, false, { database: 'orders' })).toBe(true);
});

test('a flag asked for as something else, and a token that does not hold, are errors with the default', async () => {
  const client = await connect('types', bearer('reader'));
  const key = 'read-new-types';
  await write(turnOn, key);
  expect(await client.getStringDetails(key, 'old')).toMatchObject({
    value: 'old',
    errorCode: 'TYPE_MISMATCH',
  });
  const expired = await connect('expired', bearer('expired'));
  expect(await expired.getBooleanDetails(key, false)).toMatchObject({ value: false, reason: 'ERROR' });
});
