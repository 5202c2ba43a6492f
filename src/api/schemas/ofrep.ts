/** OpenFeature Remote Evaluation Protocol, version 0.3.0: https://github.com/open-feature/protocol */
import { z } from 'zod';

/** The protocol wants a `targetingKey`, which SDKs do not always send: flags here are the same for everybody. */
export const evaluationRequest = z
  .looseObject({
    context: z
      .looseObject({
        database: z
          .string()
          .max(63)
          .optional()
          .describe('The registered database whose flag is meant, for tokens of several'),
      })
      .optional(),
  })
  .meta({ id: 'OfrepEvaluationRequest' });
export type EvaluationRequest = z.infer<typeof evaluationRequest>;

export const flagKeyParameter = z.strictObject({ key: z.string() });

export const bulkQuery = z.strictObject({
  flagConfigEtag: z.string().optional().describe('`etag` of the event that asked for this'),
  flagConfigLastModified: z.string().optional().describe('`lastModified` of the event that asked for this'),
});

/** Other headers pass: this only documents and checks the one. */
export const bulkHeaders = z.looseObject({
  'if-none-match': z.string().optional().describe('ETag of the answer that is known'),
});

const errorDetails = z.string();

export const evaluation = z
  .object({
    key: z.string(),
    value: z.boolean(),
    reason: z.literal('STATIC'),
    variant: z.enum(['on', 'off']),
    metadata: z.object({ database: z.string(), owner: z.string(), changedAt: z.string() }),
  })
  .meta({ id: 'OfrepEvaluation' });
export type Evaluation = z.infer<typeof evaluation>;

export const evaluationFailure = z
  .object({
    key: z.string(),
    errorCode: z.enum(['PARSE_ERROR', 'INVALID_CONTEXT', 'GENERAL']),
    errorDetails,
  })
  .meta({ id: 'OfrepEvaluationFailure' });
export type EvaluationFailure = z.infer<typeof evaluationFailure>;

export const flagMissing = z
  .object({ key: z.string(), errorCode: z.literal('FLAG_NOT_FOUND'), errorDetails })
  .meta({ id: 'OfrepFlagNotFound' });

export const generalError = z.object({ errorDetails }).meta({ id: 'OfrepGeneralError' });

export const bulkFailure = evaluationFailure.omit({ key: true }).meta({ id: 'OfrepBulkFailure' });

export const bulkEvaluation = z
  .object({
    flags: z.array(z.union([evaluation, evaluationFailure])),
    eventStreams: z.array(
      z.object({ type: z.literal('sse'), endpoint: z.object({ requestUri: z.string() }) }),
    ),
  })
  .meta({ id: 'OfrepBulkEvaluation' });

/** No body. */
export const unchanged = z.undefined().describe('No flag has changed since the answer with that ETag');
