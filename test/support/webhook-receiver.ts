import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import { waitFor } from './wait.ts';

export interface ReceivedWebhook {
  readonly headers: IncomingHttpHeaders;
  /** As sent: the signature is over these bytes. */
  readonly body: string;
}

export interface WebhookReceiver {
  readonly url: string;
  readonly received: readonly ReceivedWebhook[];
  /** Answers the next requests with these statuses, one each; then 204 again. */
  answerWith(...statuses: readonly number[]): void;
  /** Waits for one that fits. */
  next(fits?: (webhook: ReceivedWebhook) => boolean): Promise<ReceivedWebhook>;
  close(): Promise<void>;
}

/** An HTTP server on a free port of 127.0.0.1 that keeps what it is sent. */
export async function startWebhookReceiver(): Promise<WebhookReceiver> {
  const received: ReceivedWebhook[] = [];
  const answers: number[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => void chunks.push(chunk));
    request.on('end', () => {
      received.push({ headers: request.headers, body: Buffer.concat(chunks).toString('utf8') });
      response.writeHead(answers.shift() ?? 204).end();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the receiver has no port');
  return {
    url: `http://127.0.0.1:${address.port}/`,
    received,
    answerWith: (...statuses) => void answers.push(...statuses),
    async next(fits = () => true) {
      const found = await waitFor(() => received.find(fits), { what: 'a webhook' });
      if (found === undefined) throw new Error('no webhook came');
      return found;
    },
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
