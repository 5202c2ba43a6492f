import { defineSignal } from '../define-signal.ts';
import { readNumber, shownUrl } from './read-number.ts';
import { rounded } from './words.ts';

/** The application's latency by its own measure, say the 95th percentile of its requests. */
export const applicationLatency = defineSignal({
  name: 'application-latency',
  summary: "The application's latency, read from a URL",
  everyMs: 2_000,
  isOn: (limits) => limits.latency !== null,
  watch:
    () =>
    async (_place, { latency }) => {
      if (latency === null) return [];
      const read = await readNumber(latency);
      // An application that is too busy to answer is the one to be spared.
      if (typeof read !== 'number')
        return [
          {
            level: Number.POSITIVE_INFINITY,
            says: `the application's latency cannot be read at ${shownUrl(latency.url)}: ${read.why}`,
          },
        ];
      const says = `the application's latency is ${rounded(read)}, limit ${rounded(latency.limit)} (${shownUrl(latency.url)})`;
      return [{ level: read / latency.limit, says }];
    },
});
