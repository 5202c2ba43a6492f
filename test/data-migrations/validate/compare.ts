/** Validates two tables as the tests of this folder want it. */

import type {
  Difference,
  PhaseName,
  ValidationOutcome,
  ValidationRequest,
} from '../../../src/data-migrations/validate/request.ts';
import { validate } from '../../../src/data-migrations/validate/validate.ts';
import type { Target } from '../../../src/db/target.ts';
import { parseTarget } from '../../../src/db/target.ts';

export type Ask = Omit<Partial<ValidationRequest>, 'source' | 'target'> & {
  readonly source?: Partial<ValidationRequest['source']>;
  readonly target?: Partial<ValidationRequest['target']>;
  readonly signal?: AbortSignal;
  readonly onPhase?: (name: PhaseName) => void | Promise<void>;
};

/** Compares the tables `source` and `target`; of one database where one URL is given. */
export function compare(
  urls: string | { source: string; target: string },
  ask: Ask = {},
): Promise<ValidationOutcome> {
  const { source, target, signal = new AbortController().signal, onPhase, ...rest } = ask;
  const [from, to]: [Target, Target] =
    typeof urls === 'string'
      ? [parseTarget(urls), parseTarget(urls)]
      : [parseTarget(urls.source), parseTarget(urls.target)];
  return validate(
    {
      source: { database: 'one', target: from, schema: 'public', table: 'source', ...source },
      target: {
        database: typeof urls === 'string' ? 'one' : 'other',
        target: to,
        schema: 'public',
        table: 'target',
        ...target,
      },
      extraRows: 'refused',
      parallelism: 1,
      pauseMs: 0,
      tries: 3,
      listed: 100,
      values: 'shown',
      ...rest,
    },
    {
      applicationName: 'switchback:test',
      signal,
      async phase(name, work) {
        await onPhase?.(name);
        return work(() => undefined);
      },
    },
  );
}

/** `changed 7: name`, in the order of the keys. */
export const told = ({ differences }: ValidationOutcome): string[] => differences.listed.map(line).sort();

const line = ({ kind, key, columns }: Difference): string =>
  [`${kind} ${Object.values(key).join('/')}`, ...(columns.length > 0 ? [columns.join(', ')] : [])].join(': ');
