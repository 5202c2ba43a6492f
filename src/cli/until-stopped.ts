/** Resolves with the name of the first SIGINT or SIGTERM. Later ones change nothing: the way out is the same. */
export const untilStopped = (): Promise<string> =>
  new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => resolve(signal));
  });
