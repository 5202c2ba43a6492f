import { z } from 'zod';
import { catalogue, type ErrorCode } from '../../errors.ts';

const validationFault = z.object({
  in: z.enum(['path', 'query', 'header', 'body']),
  pointer: z.string().describe('JSON pointer to the fault; empty for the whole'),
  detail: z.string(),
});
export type ValidationFault = z.infer<typeof validationFault>;

export const errorCode = z
  .enum(Object.keys(catalogue) as [ErrorCode, ...ErrorCode[]])
  .meta({ id: 'ErrorCode', description: 'Stable; docs/errors.md says what to do about each' });

export const problem = z
  .object({
    type: z.string().describe('Stable URI of the code'),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    instance: z.string().describe('The request, as in the header x-request-id and the log'),
    code: errorCode,
    details: z.record(z.string(), z.unknown()).describe('Facts about this occurrence'),
    errors: z.array(validationFault).optional().describe('Faults of the request, one by one'),
  })
  .meta({ id: 'Problem', description: 'RFC 9457' });
export type Problem = z.infer<typeof problem>;

/** An error as a job keeps it. */
export const errorRecord = z
  .object({
    code: errorCode,
    title: z.string(),
    detail: z.string(),
    details: z.record(z.string(), z.unknown()),
  })
  .meta({ id: 'ErrorRecord' });
