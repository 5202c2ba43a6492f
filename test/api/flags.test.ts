import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { declareFlag, type FlagOwner, turnOff, turnOn } from '../../src/jobs/flags/flags.ts';
import { waitFor } from '../support/wait.ts';
import { bearer, startApi, type TestApi, type TokenName } from './harness.ts';

let api: TestApi;
let origin: string;
beforeAll(async () => {
  api = await startApi({ http: { rateLimitPerMinute: 100 } });
  origin = await api.app.listen({ port: 0, host: '127.0.0.1' });
});
afterAll(() => api.close());

const owner: FlagOwner = { kind: 'data migration', name: 'split-names' };
let count = 0;
const newKey = (): string => {
  count += 1;
  return `flag-${count}`;
};
const request = (key: string, rest: object = {}) => ({
  database: 'orders',
  key,
  owner,
  reason: 'its validation passed',
  by: 'deployer',
  ...rest,
});
type Change = typeof turnOn;
const write = (change: Change, key: string, rest: object = {}) =>
  api.deps.control.prisma.$transaction((transaction) => change(transaction, request(key, rest)));
const changesOf = (key: string) =>
  api.deps.control.prisma.flagChange.findMany({ where: { key }, orderBy: { number: 'asc' } });

const put = (key: string, body: object, as: TokenName = 'operator') =>
  api.app.inject({ method: 'PUT', url: `/api/flags/${key}`, headers: bearer(as), payload: body });
const evaluate = (key: string, body: object = { context: { targetingKey: 'a' } }, as: TokenName = 'reader') =>
  api.post(`/ofrep/v1/evaluate/flags/${key}`, body, as);
const evaluateAll = (as: TokenName = 'reader', headers = {}, body: object = { context: {} }) =>
  api.post('/ofrep/v1/evaluate/flags', body, as, headers);

describe('a flag', () => {
  test('is known and off from when its owner is accepted, on when its validation has passed, off when rolled back', async () => {
    const key = newKey();
    const states: string[] = [];
    for (const change of [declareFlag, turnOn, turnOff]) states.push((await write(change, key)).state);
    expect(states).toEqual(['off', 'on', 'off']);
    expect((await changesOf(key)).map(({ state, by, reason }) => [state, by, reason])).toEqual([
      ['off', 'deployer', 'its validation passed'],
      ['on', 'deployer', 'its validation passed'],
      ['off', 'deployer', 'its validation passed'],
    ]);
  });

  test('that is so already is left alone: nothing is recorded twice', async () => {
    const key = newKey();
    for (const change of [turnOn, turnOn, declareFlag, turnOn]) await write(change, key);
    expect((await changesOf(key)).map(({ state }) => state)).toEqual(['on']);
    const [one, other] = [newKey(), newKey()];
    await Promise.all(
      Array.from({ length: 12 }, (_, n) =>
        write(n % 3 === 0 ? declareFlag : turnOn, n % 2 === 0 ? one : other),
      ),
    );
    for (const flag of [one, other]) {
      const states = (await changesOf(flag)).map(({ state }) => state);
      expect([['on'], ['off', 'on']]).toContainEqual(states);
    }
  });

  test('belongs to its owner', async () => {
    const key = newKey();
    await write(turnOn, key);
    await expect(
      write(turnOff, key, { owner: { kind: 'phase', name: 'split-names' } }),
    ).rejects.toMatchObject({
      code: 'FLAG_TAKEN',
    });
    expect((await changesOf(key)).length).toBe(1);
    // Another database's flag of the same key is another flag.
    expect(
      (await write(declareFlag, key, { database: 'billing', owner: { kind: 'phase', name: 'x' } })).state,
    ).toBe('off');
  });

  test('changes with the transaction that changes it', async () => {
    const key = newKey();
    await write(declareFlag, key);
    await expect(
      api.deps.control.prisma.$transaction(async (transaction) => {
        await turnOn(transaction, request(key));
        throw new Error('what follows fails');
      }),
    ).rejects.toThrow('what follows fails');
    expect((await evaluate(key)).json()).toMatchObject({ value: false });
  });
});

describe('by hand', () => {
  test('a flag is changed by who may operate, with a reason', async () => {
    const key = newKey();
    await write(declareFlag, key);
    const body = { database: 'orders', state: 'on', reason: 'a try in one office' };
    expect((await put(key, body, 'reader')).json()).toMatchObject({ code: 'SCOPE_MISSING' });
    expect((await put(key, { ...body, reason: 'x' })).json()).toMatchObject({ code: 'VALIDATION_FAILED' });
    const answer = await put(key, body);
    expect([answer.statusCode, answer.json()]).toEqual([
      200,
      expect.objectContaining({
        key,
        database: 'orders',
        state: 'on',
        owner,
        reason: 'a try in one office',
        changedBy: 'operator',
      }),
    ]);
    await put(key, body);
    expect((await changesOf(key)).map(({ state, by }) => [state, by])).toEqual([
      ['off', 'deployer'],
      ['on', 'operator'],
    ]);
  });

  test('none is made, nor that of another database', async () => {
    const key = newKey();
    const body = { database: 'orders', state: 'on', reason: 'mistyped, perhaps' };
    expect((await put(key, body)).json()).toMatchObject({ status: 404, code: 'FLAG_NOT_FOUND' });
    await write(declareFlag, key);
    expect((await put(key, { ...body, database: 'billing' })).json()).toMatchObject({
      code: 'FLAG_NOT_FOUND',
    });
    expect((await put(key, body, 'billing')).json()).toMatchObject({ code: 'DATABASE_FORBIDDEN' });
    expect((await evaluate(key)).json()).toMatchObject({ value: false });
  });

  test('flags are listed, as far as the token may see them', async () => {
    const [mine, other] = [newKey(), newKey()];
    await write(turnOn, mine, { database: 'billing' });
    await write(turnOn, other);
    const keysSeen = async (as: TokenName, query = '') =>
      (await api.get(`/api/flags?limit=100${query}`, as)).json().items.map(({ key }: { key: string }) => key);
    expect(await keysSeen('reader')).toEqual(expect.arrayContaining([mine, other]));
    expect(await keysSeen('billing')).toContain(mine);
    expect(await keysSeen('billing')).not.toContain(other);
    expect(await keysSeen('reader', '&database=billing')).not.toContain(other);
  });
});

describe('over OFREP', () => {
  test('a flag is evaluated', async () => {
    const key = newKey();
    await write(turnOn, key);
    const answer = await evaluate(key);
    expect([answer.statusCode, answer.json()]).toEqual([
      200,
      {
        key,
        value: true,
        reason: 'STATIC',
        variant: 'on',
        metadata: { database: 'orders', owner: 'data migration split-names', changedAt: expect.any(String) },
      },
    ]);
    await write(turnOff, key);
    expect((await evaluate(key, {})).json()).toMatchObject({ value: false, variant: 'off' });
  });

  test('one that is not there, or not for the token, is FLAG_NOT_FOUND', async () => {
    const key = newKey();
    const missing = { key, errorCode: 'FLAG_NOT_FOUND', errorDetails: expect.stringContaining(key) };
    const unknown = await evaluate(key);
    expect([unknown.statusCode, unknown.json()]).toEqual([404, missing]);
    expect(unknown.headers['content-type']).toContain('application/json');
    await write(turnOn, key);
    expect((await evaluate(key, { context: {} }, 'billing')).json()).toEqual(missing);
    expect((await evaluate(key, { context: { database: 'billing' } })).json()).toEqual(missing);
    expect((await evaluate(key, { context: { database: 'orders' } }, 'billing')).json()).toEqual(missing);
  });

  test('a key of two databases needs to be told which', async () => {
    const key = newKey();
    await write(turnOn, key);
    await write(turnOff, key, { database: 'billing' });
    const answer = await evaluate(key);
    expect([answer.statusCode, answer.json()]).toEqual([
      400,
      { key, errorCode: 'INVALID_CONTEXT', errorDetails: expect.stringContaining('billing, orders') },
    ]);
    expect((await evaluate(key, { context: { database: 'orders' } })).json()).toMatchObject({ value: true });
    expect((await evaluate(key, { context: { database: 'billing' } })).json()).toMatchObject({
      value: false,
    });
    expect((await evaluate(key, {}, 'billing')).json()).toMatchObject({ value: false });
    const all = (await evaluateAll()).json().flags.filter((flag: { key: string }) => flag.key === key);
    expect(all).toEqual([expect.objectContaining({ key, errorCode: 'INVALID_CONTEXT' })]);
  });

  test('all are evaluated at once, and again only when one has changed', async () => {
    const key = newKey();
    await write(turnOn, key);
    const first = await evaluateAll();
    expect(first.statusCode).toBe(200);
    expect(first.json()).toMatchObject({
      flags: expect.arrayContaining([expect.objectContaining({ key, value: true })]),
      eventStreams: [{ type: 'sse', endpoint: { requestUri: '/api/flags/events' } }],
    });
    const etag = String(first.headers.etag);
    expect(etag).toMatch(/^"[\w-]{43}"$/);
    for (const known of [etag, `W/${etag}`, `"another", ${etag}`]) {
      const again = await evaluateAll('reader', { 'if-none-match': known });
      expect([again.statusCode, again.body, again.headers.etag]).toEqual([304, '', etag]);
    }
    await write(turnOff, key);
    const changed = await evaluateAll('reader', { 'if-none-match': etag });
    expect(changed.statusCode).toBe(200);
    expect(changed.headers.etag).not.toBe(etag);
    expect((await evaluateAll('billing')).json().flags).not.toContainEqual(
      expect.objectContaining({ value: true, metadata: expect.objectContaining({ database: 'orders' }) }),
    );
  });

  test("faults have the protocol's form, without a problem document", async () => {
    const url = '/ofrep/v1/evaluate/flags/a';
    const unread = await api.app.inject({
      method: 'POST',
      url,
      headers: { ...bearer('reader'), 'content-type': 'application/json' },
      payload: '{',
    });
    expect([unread.statusCode, unread.json()]).toEqual([
      400,
      { key: 'a', errorCode: 'PARSE_ERROR', errorDetails: expect.any(String) },
    ]);
    const wrong = await evaluate('a', { context: 5 });
    expect([wrong.statusCode, wrong.json()]).toEqual([
      400,
      { key: 'a', errorCode: 'INVALID_CONTEXT', errorDetails: expect.stringContaining('/context') },
    ]);
    const all = await evaluateAll('reader', {}, { context: { database: 5 } });
    expect([all.statusCode, all.json()]).toEqual([
      400,
      { errorCode: 'INVALID_CONTEXT', errorDetails: expect.any(String) },
    ]);
    const nobody = await api.app.inject({ method: 'POST', url, payload: { context: {} } });
    expect([nobody.statusCode, nobody.json()]).toEqual([
      401,
      { errorDetails: expect.stringContaining('Send a token') },
    ]);
    expect(nobody.headers['www-authenticate']).toContain('Bearer');
    expect((await evaluate('a', {}, 'expired')).statusCode).toBe(401);
  });

  test('a token may evaluate as often as it likes, since a refusal would be taken for the default', async () => {
    const key = newKey();
    await write(turnOn, key);
    for (let asked = 0; asked < 150; asked += 1)
      expect((await evaluate(key, {}, 'approver')).statusCode).toBe(200);
    expect((await api.get('/api/flags', 'approver')).statusCode).toBe(200);
  });
});

describe('changes', () => {
  interface Message {
    readonly id: number;
    readonly event: string;
    readonly data: { readonly key: string; readonly state: string };
  }

  /** Settles when the stream is open. */
  async function follow(
    query = '',
    as: TokenName = 'reader',
    headers = {},
  ): Promise<AsyncGenerator<Message>> {
    const leaving = new AbortController();
    const response = await fetch(`${origin}/api/flags/events${query}`, {
      headers: { ...bearer(as), ...headers },
      signal: leaving.signal,
    });
    expect([response.status, response.headers.get('content-type')]).toEqual([200, 'text/event-stream']);
    return messagesOf(response, leaving);
  }

  async function* messagesOf(response: Response, leaving: AbortController): AsyncGenerator<Message> {
    let text = '';
    try {
      for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
        text += chunk;
        for (let at = text.indexOf('\n\n'); at >= 0; at = text.indexOf('\n\n')) {
          const lines = text.slice(0, at).split('\n');
          text = text.slice(at + 2);
          const field = (name: string) =>
            lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2) ?? '';
          if (field('data') !== '')
            yield { id: Number(field('id')), event: field('event'), data: JSON.parse(field('data')) };
        }
      }
    } finally {
      leaving.abort();
    }
  }

  /** The next ones of one flag. */
  async function next(stream: AsyncGenerator<Message>, key: string, wanted: number): Promise<Message[]> {
    const found: Message[] = [];
    while (found.length < wanted) {
      const { value, done } = await stream.next();
      if (done) break;
      if (value.data.key === key) found.push(value);
    }
    return found;
  }

  test('are pushed as they are made; who reconnects misses none and sees none twice', async () => {
    const key = newKey();
    await write(declareFlag, key);
    const first = await follow('?after=0');
    const [declared] = await next(first, key, 1);
    expect(declared).toMatchObject({
      event: 'message',
      data: {
        type: 'refetchEvaluation',
        lastModified: expect.any(Number),
        database: 'orders',
        key,
        state: 'off',
        by: 'deployer',
      },
    });
    const pushed = next(first, key, 1);
    await write(turnOn, key);
    const [on] = await pushed;
    expect(on?.data.state).toBe('on');
    await first.return(undefined);
    await write(turnOff, key);
    await write(turnOn, key);
    const again = await follow('', 'reader', { 'last-event-id': String(on?.id) });
    const missed = await next(again, key, 2);
    expect(missed.map(({ data }) => data.state)).toEqual(['off', 'on']);
    expect(missed.filter(({ id }) => id <= (on?.id ?? 0))).toEqual([]);
    await again.return(undefined);
  });

  test('wake readers at once, wherever they are made', async () => {
    const heard: (string | null)[] = [];
    const deafen = api.deps.control.listener.on('switchback_flag', (id) => heard.push(id));
    const { id } = await write(turnOn, newKey());
    await waitFor(() => heard.includes(id));
    deafen();
  });

  test('come in the order of their numbers, none left out, however many write at once', async () => {
    const keys = Array.from({ length: 8 }, newKey);
    const stream = await follow('?after=0');
    const before = await next(stream, 'flag-1', 1);
    expect(before.length).toBe(1);
    const seen: Message[] = [];
    const reading = (async () => {
      while (seen.filter(({ data }) => keys.includes(data.key)).length < keys.length * 3) {
        const { value } = await stream.next();
        seen.push(value as Message);
      }
    })();
    await Promise.all(
      keys.map(async (key) => {
        for (const change of [declareFlag, turnOn, turnOff]) await write(change, key);
      }),
    );
    await reading;
    await stream.return(undefined);
    const numbers = seen.map(({ id }) => id);
    expect(numbers).toEqual(numbers.toSorted((one, other) => one - other));
    expect(new Set(numbers).size).toBe(numbers.length);
  });

  test('without a place to begin, only those from now on; and only of the databases of the token', async () => {
    const [theirs, mine] = [newKey(), newKey()];
    await write(declareFlag, mine, { database: 'billing' });
    const stream = await follow('', 'billing');
    await write(turnOn, theirs);
    await write(turnOn, mine, { database: 'billing' });
    const { value } = await stream.next();
    expect((value as Message).data).toMatchObject({ key: mine, database: 'billing', state: 'on' });
    await stream.return(undefined);
    const refused = await api.get('/api/flags/events?database=orders', 'billing');
    expect(refused.json()).toMatchObject({ code: 'DATABASE_FORBIDDEN' });
  });
});
