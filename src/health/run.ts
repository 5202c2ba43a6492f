/** Runs the checks of many databases at once, and answers in time whatever hangs. */
import { setMaxListeners } from 'node:events';
import { openSession, type Session } from '../db/session.ts';
import { parseTarget, type Target } from '../db/target.ts';
import { withDeadline } from '../deadline.ts';
import { checks } from './checks/index.ts';
import type { CheckFinding, HealthCheck } from './define-check.ts';
import { type HealthOutcome, Results } from './outcome.ts';

export interface CheckedDatabase {
  readonly name: string;
  readonly url: string;
}

/** A check of something other than a registered database: the queue, the control database. */
export interface ComponentCheck {
  /** The whole key in the outcome: `switchback:queue`. */
  readonly name: string;
  readonly timeoutMs: number;
  run(): Promise<CheckFinding>;
}

export interface HealthRequest {
  readonly databases: readonly CheckedDatabase[];
  readonly components: readonly ComponentCheck[];
  /** When the answer must be there, from now. What is not known by then is named in it. */
  readonly deadlineMs: number;
  readonly signal: AbortSignal;
}

// A server is asked about few of its databases at once: the checks must not use up its connections.
const serversAtOnce = 32;
const databasesOfOneServerAtOnce = 8;

const connectTimeoutMs = 2_000;

/** Checks everything, and answers within `deadlineMs`. @throws the signal's reason */
export function runChecks(request: HealthRequest): Promise<HealthOutcome> {
  return withDeadline(request.signal, request.deadlineMs, async (deadline) => {
    setMaxListeners(0, deadline);
    const results = new Results(deadline);
    await checkAll(request, results, deadline);
    request.signal.throwIfAborted();
    const names = checks.map((check) => check.name);
    for (const { name } of request.databases) results.nameWhatIsMissing(name, names, request.deadlineMs);
    return results.outcome();
  });
}

async function checkAll(request: HealthRequest, results: Results, deadline: AbortSignal): Promise<void> {
  await Promise.all([
    ...request.components.map((component) => results.measure(component.name, component)),
    // In another order each time: where the deadline cuts some off, they are not always the same ones.
    forEach(shuffled(byServer(request.databases)), serversAtOnce, deadline, (databases) =>
      forEach(shuffled(databases), databasesOfOneServerAtOnce, deadline, (database) =>
        checkDatabase(database, results, deadline),
      ),
    ),
  ]);
}

async function checkDatabase(
  { name, url }: CheckedDatabase,
  results: Results,
  deadline: AbortSignal,
): Promise<void> {
  const opening = openSession(forChecks(parseTarget(url)), {
    applicationName: 'switchback:health',
    connectTimeoutMs,
  });
  try {
    for (const check of checks) {
      if (deadline.aborted) break;
      const { timedOut, status } = await results.measure(`${name}:${check.name}`, bind(check, opening));
      // The session is still busy with what did not answer, or was never opened.
      if (timedOut || (check === checks[0] && status === 'fail')) break;
    }
  } finally {
    closeOnceOpen(opening);
  }
}

const bind = (check: HealthCheck, opening: Promise<Session>): Omit<ComponentCheck, 'name'> => ({
  timeoutMs: check.timeoutMs,
  run: async () => check.run(await opening),
});

/** A server that stops answering just after it let us in would keep the connection for ever. */
const forChecks = (target: Target): Target => ({
  ...target,
  clientConfig: { ...target.clientConfig, query_timeout: connectTimeoutMs },
});

/** Does not wait: a server that hangs would keep us. A session that did not open was reported by the first check. */
function closeOnceOpen(opening: Promise<Session>): void {
  opening.then(
    (session) => session.close(),
    () => undefined,
  );
}

function byServer(databases: readonly CheckedDatabase[]): CheckedDatabase[][] {
  const servers = new Map<string, CheckedDatabase[]>();
  for (const database of databases) {
    const { host, port } = parseTarget(database.url);
    const server = `${host}:${port}`;
    const neighbours = servers.get(server);
    if (neighbours === undefined) servers.set(server, [database]);
    else neighbours.push(database);
  }
  return [...servers.values()];
}

/** Works on each item, on at most `limit` at once, until the signal aborts. */
async function forEach<Item>(
  items: readonly Item[],
  limit: number,
  signal: AbortSignal,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const waiting = items.values();
  const worker = async (): Promise<void> => {
    for (const item of waiting) {
      if (signal.aborted) return;
      await work(item);
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, worker));
}

function shuffled<Item>(items: readonly Item[]): Item[] {
  return items
    .map((item) => ({ item, place: Math.random() }))
    .sort((one, other) => one.place - other.place)
    .map(({ item }) => item);
}
