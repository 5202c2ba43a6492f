import { connect, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { v7 as newId } from 'uuid';
import { type Control, openControl } from '../src/db/control/control.ts';
import { appendEvent } from '../src/db/control/job-rows.ts';
import { waitFor } from '../test/support/wait.ts';
import { defineBench, type Measurement } from './define-bench.ts';
import { type Switchback, startSwitchback, withPlace } from './place.ts';

const clients = 2_000;
const rounds = 20;
/** A process that has just started is slow; these events are not counted. */
const warmUpRounds = 3;
/** As often as a running step tells its progress. */
const everyMs = 500;

export const sse = defineBench({
  name: 'sse',
  summary: `from the insert of an event to its arrival at ${clients.toLocaleString('en')} clients, ${rounds} events of each job, one every ${everyMs} ms`,
  run: () =>
    withPlace(async (place) => {
      const controlUrl = await place.createDatabase();
      const switchback = await startSwitchback(place, { controlUrl });
      const control = await openControl(controlUrl);
      try {
        return [await measure(switchback, control, 1), await measure(switchback, control, 20)].flat();
      } finally {
        await control.close();
        await switchback.stop();
      }
    }),
});

async function measure(switchback: Switchback, control: Control, jobs: number): Promise<Measurement[]> {
  const ids = await Promise.all(Array.from({ length: jobs }, () => insertJob(control)));
  const latencies: number[] = [];
  const sockets: Socket[] = [];
  const batch = 100;
  for (let index = 0; index < clients; index += batch) {
    const opened = Array.from({ length: batch }, (_, offset) =>
      follow(switchback, ids[(index + offset) % jobs] ?? '', latencies),
    );
    sockets.push(...(await Promise.all(opened)));
  }
  const everybodyHas = (events: number): Promise<unknown> =>
    waitFor(() => latencies.length >= clients * events, { what: 'the last event', timeoutMs: 30_000 });
  await tellAll(control, ids, warmUpRounds);
  await everybodyHas(warmUpRounds);
  latencies.length = 0;
  await tellAll(control, ids, rounds);
  await everybodyHas(rounds);
  for (const socket of sockets) socket.destroy();
  latencies.sort((one, other) => one - other);
  const at = (share: number): number => latencies[Math.ceil(latencies.length * share) - 1] ?? Number.NaN;
  const who = jobs === 1 ? 'all on one job' : `on ${jobs} jobs`;
  return [
    { what: `latency, ${who}, median`, value: at(0.5), unit: 'ms' },
    { what: `latency, ${who}, p99`, value: at(0.99), unit: 'ms', bound: { atMost: 250 } },
  ];
}

/** A job as a worker has it; no worker is there to take it over. */
async function insertJob(control: Control): Promise<string> {
  const id = newId();
  const job = { kind: 'backup', queue: 'operations', state: 'running', attempt: 1, payload: {} };
  await control.prisma.job.create({ data: { id, ...job, requestedBy: 'bench' } });
  return id;
}

/** Events of each job, one every `everyMs`; the jobs are out of step with each other. */
async function tellAll(control: Control, ids: readonly string[], events: number): Promise<void> {
  for (let round = 0; round < events; round += 1)
    for (const id of ids) {
      await pause(everyMs / ids.length);
      await appendEvent(
        control.prisma,
        { jobId: id, attempt: 1 },
        { type: 'progress', body: { step: 'dump', sentAt: Date.now() } },
      );
    }
}

/** Opens one stream; resolves when its headers have come, then notes how long each event took. */
function follow(switchback: Switchback, jobId: string, latencies: number[]): Promise<Socket> {
  const { hostname, port } = new URL(switchback.url);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname);
    socket.once('error', reject);
    socket.setEncoding('utf8').on('data', (text: string) => {
      if (text.startsWith('HTTP/1.1 200')) resolve(socket);
      else if (text.startsWith('HTTP/1.1')) reject(new Error(text));
      for (const [, sentAt] of text.matchAll(/"sentAt":(\d+)/g)) latencies.push(Date.now() - Number(sentAt));
    });
    socket.write(
      `GET /api/jobs/${jobId}/events HTTP/1.1\r\nhost: ${hostname}\r\naccept: text/event-stream\r\n` +
        `authorization: ${switchback.headers.authorization}\r\n\r\n`,
    );
  });
}
