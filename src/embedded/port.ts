import { once } from 'node:events';
import { createServer } from 'node:net';
import { AppError } from '../errors.ts';

/** A port of 127.0.0.1 that nobody listens on now: the preferred one if it is free. */
export async function freePort(preferred = 0): Promise<number> {
  const found = (await tryPort(preferred)) ?? (await tryPort(0));
  if (found === null)
    throw new AppError('EMBEDDED_START_FAILED', 'No free port was found on 127.0.0.1. Nothing was started.');
  return found;
}

async function tryPort(port: number): Promise<number | null> {
  const probe = createServer();
  try {
    probe.listen(port, '127.0.0.1');
    await once(probe, 'listening');
    const address = probe.address();
    return typeof address === 'object' ? (address?.port ?? null) : null;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EADDRINUSE' || code === 'EACCES') return null;
    throw error;
  } finally {
    probe.close();
  }
}
