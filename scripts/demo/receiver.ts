/** A receiver of alerts, as an operator would have one: it takes what is signed with the key it knows. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { Webhook } from 'standardwebhooks';

export interface Alert {
  readonly type: string;
  readonly data: { readonly title: string; readonly condition: string };
}

export interface Receiver {
  readonly url: string;
  /** The next alert whose signature is right; rejects when one comes whose signature is not, or none in time. */
  next(withinMs: number): Promise<Alert>;
  close(): Promise<void>;
}

export async function startReceiver(secret: string): Promise<Receiver> {
  const webhook = new Webhook(secret);
  const arrivals: (() => Alert)[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => void chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString('utf8');
      arrivals.push(() => webhook.verify(body, request.headers as Record<string, string>) as Alert);
      server.emit('arrival');
      response.writeHead(204).end();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the receiver has no port');
  return {
    url: `http://127.0.0.1:${address.port}/alerts`,
    async next(withinMs) {
      if (arrivals.length === 0) await once(server, 'arrival', { signal: AbortSignal.timeout(withinMs) });
      const [verify] = arrivals.splice(0, 1);
      if (verify === undefined) throw new Error('no alert came');
      return verify();
    },
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
