/** A way to a server that can be cut or stopped up, so that an outage begins and ends when a test says so. */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

export interface WayThrough {
  /** The URL that was given, by way of the proxy. */
  readonly url: string;
  /** Ends all connections, and takes none. */
  cut(): void;
  /** Keeps connections open and lets nothing through, as a lost network does. */
  stopUp(): void;
  /** Lets everything through again. */
  restore(): void;
  close(): Promise<void>;
}

export async function startProxy(url: string): Promise<WayThrough> {
  const { hostname, port } = new URL(url);
  const sockets = new Set<Socket>();
  let state: 'open' | 'cut' | 'stopped' = 'open';
  const keep = (socket: Socket): Socket => {
    sockets.add(socket);
    if (state === 'stopped') socket.pause();
    return socket.on('close', () => sockets.delete(socket)).on('error', () => socket.destroy());
  };
  const server = createServer((client) => {
    if (state === 'cut') return void client.destroy();
    const upstream = keep(connect(Number(port), hostname));
    keep(client).pipe(upstream).pipe(client);
    client.on('close', () => upstream.destroy());
    upstream.on('close', () => client.destroy());
    if (state === 'stopped') for (const socket of [client, upstream]) socket.pause();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the proxy has no port');
  const own = new URL(url);
  own.hostname = '127.0.0.1';
  own.port = String(address.port);
  return {
    url: own.href,
    cut() {
      state = 'cut';
      for (const socket of sockets) socket.destroy();
    },
    stopUp() {
      state = 'stopped';
      for (const socket of sockets) socket.pause();
    },
    restore() {
      state = 'open';
      for (const socket of sockets) socket.resume();
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
