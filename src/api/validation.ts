import type { FastifySchemaCompiler } from 'fastify';
import type { z } from 'zod';
import { AppError } from '../errors.ts';
import type { ValidationFault } from './schemas/problem.ts';

const parts: Readonly<Record<string, ValidationFault['in']>> = {
  params: 'path',
  querystring: 'query',
  headers: 'header',
  body: 'body',
};

/** Checks a part of a request against its zod schema; all its faults come in one `VALIDATION_FAILED`. */
export const validatorCompiler: FastifySchemaCompiler<z.ZodType> = ({ schema, httpPart }) => {
  const part = parts[httpPart ?? 'body'] ?? 'body';
  return (data: unknown) => {
    const parsed = schema.safeParse(data ?? undefined);
    const errors = parsed.success
      ? unstorable(data, part, '')
      : parsed.error.issues.flatMap((issue) => faultsOf(issue, part));
    if (parsed.success && errors.length === 0) return { value: parsed.data };
    const listed = errors.map((fault) => `${fault.pointer || 'all of it'}: ${fault.detail}`).join('; ');
    return { error: new AppError('VALIDATION_FAILED', `The ${part} has faults: ${listed}.`, { errors }) };
  };
};

function faultsOf(issue: z.core.$ZodIssue, part: ValidationFault['in']): ValidationFault[] {
  const pointer = issue.path.map((step) => `/${escapePointer(String(step))}`).join('');
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => ({
      in: part,
      pointer: `${pointer}/${escapePointer(key)}`,
      detail: 'there is no such field',
    }));
  return [{ in: part, pointer, detail: issue.message }];
}

/** Texts that JSON can carry and PostgreSQL cannot keep: with a NUL, or half of a surrogate pair. */
function unstorable(data: unknown, part: ValidationFault['in'], pointer: string): ValidationFault[] {
  if (typeof data === 'string')
    return /[\0\p{Surrogate}]/u.test(data)
      ? [{ in: part, pointer, detail: 'no text that can be stored' }]
      : [];
  if (typeof data !== 'object' || data === null || Buffer.isBuffer(data)) return [];
  return Object.entries(data).flatMap(([key, item]) =>
    unstorable(item, part, `${pointer}/${escapePointer(key)}`),
  );
}

/** A step of a JSON pointer (RFC 6901). */
const escapePointer = (step: string): string => step.replaceAll('~', '~0').replaceAll('/', '~1');
