import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { SSEMessage } from '@fastify/sse';
import type { FastifyReply } from 'fastify';

/**
 * Sends messages as Server-Sent Events, as fast as the client reads them, until the source ends, the client leaves or
 * `closing` aborts.
 * @param open is given a signal that aborts when nobody listens any more
 */
export async function streamEvents(
  reply: FastifyReply,
  closing: AbortSignal,
  open: (signal: AbortSignal) => AsyncIterable<SSEMessage>,
): Promise<void> {
  const gone = new AbortController();
  reply.sse.onClose(() => gone.abort());
  const signal = AbortSignal.any([gone.signal, closing]);
  // The headers go out at once, and start the heartbeat: the first event may be long in coming.
  reply.sse.sendHeaders();
  reply.raw.flushHeaders();
  // Not `sse.send()`: it logs a client that leaves as an error, or never settles.
  try {
    await pipeline(Readable.from(open(signal), { highWaterMark: 4 }), reply.sse.stream(), reply.raw, {
      end: false,
      signal: closing,
    });
  } catch (error) {
    // That is how a client's leaving, or ours, ends a pipeline; anything else is a fault of the source.
    if (!signal.aborted) throw error;
  }
}
