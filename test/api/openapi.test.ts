import { readFile } from 'node:fs/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import { openApiDocument } from '../../src/api/openapi.ts';

interface Operation {
  readonly operationId?: string;
  readonly summary?: string;
  readonly tags?: readonly string[];
  readonly parameters?: readonly { name: string; in: string }[];
  readonly requestBody?: object;
  readonly responses: Readonly<Record<string, { content?: Readonly<Record<string, { schema?: object }>> }>>;
}
interface Document {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, object>> };
}

let document: Document;
beforeAll(async () => {
  document = (await openApiDocument()) as Document;
});

const operations = () =>
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      path,
      name: `${method} ${path}`,
      method,
      operation,
    })),
  );

describe('every route', () => {
  test('has a tag, a summary, an operation id of its own, and the problem as its default response', () => {
    expect(operations().length).toBeGreaterThan(28);
    for (const { name, operation } of operations()) {
      expect(operation.tags, name).toHaveLength(1);
      expect(operation.summary, name).toMatch(/^[A-Z].{8,}/);
      expect(operation.responses.default?.content, name).toEqual({
        'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } },
      });
      const success = Object.entries(operation.responses).find(([status]) => status.startsWith('2'))?.[1];
      expect(Object.values(success?.content ?? {})[0]?.schema, name).toBeDefined();
    }
    const ids = operations().map(({ operation }) => operation.operationId);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids).not.toContain(undefined);
  });

  test('describes each part of its path, and its body where it takes one', () => {
    for (const { name, path, method, operation } of operations()) {
      const described = (operation.parameters ?? [])
        .filter((one) => one.in === 'path')
        .map((one) => one.name);
      expect(described.sort(), name).toEqual(
        [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]).sort(),
      );
      if (method === 'post' && !/cancel|undo|pause|resume|redeliver|drift/.test(path))
        expect(operation.requestBody, name).toBeDefined();
    }
  });

  test('that makes something takes an Idempotency-Key', () => {
    for (const { name, path, method, operation } of operations()) {
      const takes = (operation.parameters ?? []).some((one) => one.name === 'idempotency-key');
      expect(takes, name).toBe(method === 'post' && !path.endsWith('/cancel') && !path.startsWith('/ofrep/'));
    }
  });
});

test('every schema is used, and none is used that is not there', () => {
  const text = JSON.stringify(document);
  const used = new Set([...text.matchAll(/#\/components\/schemas\/(\w+)/g)].map((match) => match[1]));
  expect([...used].sort()).toEqual(Object.keys(document.components.schemas).sort());
});

test('openapi/openapi.json is the document of these routes', async () => {
  expect(JSON.parse(await readFile('openapi/openapi.json', 'utf8'))).toEqual(document);
});
