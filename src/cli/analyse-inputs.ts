import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import type { Rule } from '../analysis/define-rule.ts';
import type { Policy } from '../analysis/policy.ts';
import { type PrismaSchema, readPrismaSchema } from '../analysis/prisma-schema.ts';
import { AppError } from '../errors.ts';
import { ruleIds } from '../jobs/analysis/custom-rules.ts';

/** Prisma's schema file, or the folder over which it is spread. */
export function readPreviousSchema(place: string): PrismaSchema {
  const texts = reading(place, () =>
    statSync(place).isDirectory() ? schemaFilesIn(place).map(readText) : [readText(place)],
  );
  const schema = readPrismaSchema(texts.join('\n'));
  if (schema.models.size === 0)
    throw invalid(`${place} has no model: --previous-schema takes the schema file of Prisma.`);
  return schema;
}

const schemaFilesIn = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.prisma'))
    .map((name) => path.join(folder, name));

/** A team's decisions, as one JSON file. */
export async function readPolicy(file: string, customRules: readonly Rule[]): Promise<Policy> {
  const { parsePolicy } = await import('./analyse-policy.ts');
  const known = ruleIds(customRules);
  const faults: string[] = [];
  const policy = parsePolicy(
    reading(file, (): unknown => JSON.parse(readText(file))),
    known,
    (fault) => faults.push(fault),
  );
  if (policy === null || faults.length > 0)
    throw invalid([`${file} has faults:`, ...faults.map((fault) => `  ${fault}`)].join('\n'));
  return policy;
}

const readText = (file: string): string => readFileSync(file, 'utf8');

function reading<T>(place: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw invalid(`${place} cannot be read: ${reasonOf(error)}`, error);
  }
}

/** Node lists below the first line which file asked for the module. */
const reasonOf = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).split('\n', 1)[0] ?? '';

const invalid = (message: string, cause?: unknown): AppError =>
  new AppError('CONFIG_INVALID', message, {}, { cause });
