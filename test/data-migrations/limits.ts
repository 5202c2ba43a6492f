import type { z } from 'zod';
import type { ThrottleLimits } from '../../src/data-migrations/define-signal.ts';
import { throttlePolicy } from '../../src/throttle-config.ts';

/** The default limits, but for those given. */
export const limitsWith = (given: z.input<typeof throttlePolicy>): ThrottleLimits =>
  throttlePolicy.parse(given);
