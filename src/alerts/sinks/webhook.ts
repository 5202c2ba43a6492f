import { createHmac } from 'node:crypto';
import ipaddr from 'ipaddr.js';
import { Agent, request } from 'undici';
import type { WebhookSinkConfig } from '../../config.ts';
import { AppError } from '../../errors.ts';
import { type AlertMessage, defineSink } from '../define-sink.ts';
import { isPublic, PrivateAddress, publicLookup } from './public-address.ts';

const timeoutMs = 10_000;
const maxResponseBytes = 65_536;
const longestPauseSeconds = 6 * 3_600;

/** HTTP POST, signed to the Standard Webhooks specification (https://www.standardwebhooks.com). */
export const webhook = defineSink<Readonly<WebhookSinkConfig>>({
  type: 'webhook',
  async send(options, message, signal) {
    const body = JSON.stringify(payloadOf(message));
    const agent = openAgent(options);
    try {
      const response = await request(options.url, {
        method: 'POST',
        dispatcher: agent,
        body,
        headers: {
          'content-type': 'application/json',
          'user-agent': 'switchback',
          ...sign(options.secret, message.id, new Date(), body),
        },
        headersTimeout: timeoutMs,
        bodyTimeout: timeoutMs,
        signal,
      });
      await response.body.dump({ limit: maxResponseBytes });
      judge(options.name, response.statusCode, response.headers['retry-after']);
    } catch (error) {
      throw error instanceof AppError ? error : unreachable(options.name, error);
    } finally {
      await agent.destroy();
    }
  },
});

const payloadOf = (message: AlertMessage): object => ({
  type: `alert.${message.condition}`,
  timestamp: message.createdAt.toISOString(),
  data: {
    id: message.id,
    condition: message.condition,
    severity: message.severity,
    database: message.database,
    title: message.title,
    ...(message.body as object),
  },
});

/** Headers of the specification: HMAC-SHA256 over `id.timestamp.body`. The secret is `whsec_` and base64. */
export function sign(secret: string, id: string, at: Date, body: string): Record<string, string> {
  const timestamp = String(Math.floor(at.getTime() / 1000));
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
  const signature = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64');
  return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': `v1,${signature}` };
}

function openAgent({ url, allowPrivateAddresses }: Readonly<WebhookSinkConfig>): Agent {
  if (allowPrivateAddresses) return new Agent({ connectTimeout: timeoutMs });
  // A literal address is not looked up, so it is judged here. The URL class has brought 0x7f.1 and its like to one form.
  const host = new URL(url).hostname.replace(/^\[|\]$/g, '');
  if (ipaddr.isValid(host) && !isPublic(host)) throw refused(host, new PrivateAddress(host).message);
  return new Agent({ connectTimeout: timeoutMs, connect: { lookup: publicLookup } });
}

/** Redirects are not followed: they could lead anywhere. */
function judge(sink: string, status: number, retryAfter: string | string[] | undefined): void {
  if (status >= 200 && status < 300) return;
  if (status >= 500 || status === 429 || status === 408)
    throw new AppError(
      'SINK_UNREACHABLE',
      `The alert sink "${sink}" answered ${status}. It is tried again.`,
      { sink, status, ...pauseOf(retryAfter) },
    );
  throw refused(sink, `it answered ${status}`, status);
}

/** A pause that the receiver asks for, in seconds. The header's other form, a date, is not understood. */
function pauseOf(retryAfter: string | string[] | undefined): { retryAfterSeconds?: number } {
  if (typeof retryAfter !== 'string' || !/^\d{1,9}$/.test(retryAfter)) return {};
  return { retryAfterSeconds: Math.min(longestPauseSeconds, Number(retryAfter)) };
}

const refused = (sink: string, reason: string, status?: number): AppError =>
  new AppError(
    'SINK_REFUSED',
    `The alert sink "${sink}" refused the delivery: ${reason}. It is not tried again; see GET /api/alerts.`,
    { sink, status },
  );

function unreachable(sink: string, error: unknown): AppError {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (cause instanceof PrivateAddress || error instanceof PrivateAddress)
    return refused(sink, (cause as Error).message);
  const reason = error instanceof Error ? error.message : String(error);
  return new AppError(
    'SINK_UNREACHABLE',
    `The alert sink "${sink}" cannot be reached: ${reason}. It is tried again.`,
    { sink },
    { cause: error },
  );
}
