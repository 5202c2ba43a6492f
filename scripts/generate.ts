/**
 * Writes what is derived from the sources: `npm run generate`. With `-- --check` it writes nothing, names each file
 * that is out of date, and fails.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { z } from 'zod';
import { openApiDocument } from '../src/api/openapi.ts';
import { configSchema, environmentVariables } from '../src/config.ts';
import { catalogue, type ErrorCode, httpStatus } from '../src/errors.ts';
import { faultsOfPeers, rulePages } from './rule-pages.ts';

const root = path.resolve(import.meta.dirname, '..');
const read = (file: string): string => readFileSync(path.join(root, file), 'utf8');

export interface Generated {
  /** Relative to the repository. */
  readonly file: string;
  readonly content: string;
}

/** Every derived file as it should be now. */
export async function generateAll(): Promise<readonly Generated[]> {
  const openapi = await openApiDocument();
  const schema = z.toJSONSchema(configSchema, { io: 'input' });
  return [
    { file: 'openapi/openapi.json', content: toJson(openapi) },
    {
      file: 'docs/configuration.schema.json',
      content: toJson({ ...schema, title: 'Switchback configuration' }),
    },
    { file: '.env.example', content: environmentExample() },
    {
      file: 'README.md',
      content: fill(read('README.md'), {
        api: apiTable(openapi),
        configuration: configurationTable(schema),
        environment: environmentTable(),
      }),
    },
    ...rulePages(),
  ];
}

/** What is wrong with the page of the errors: codes it lacks, codes that are gone, statuses that are not theirs. */
export function faultsOfErrorPage(page: string): string[] {
  const rows = new Map(
    [...page.matchAll(/^\| `([A-Z_]+)` \| (\d{3}) \|/gm)].map(([, code, status]) => [code, status]),
  );
  const codes = Object.keys(catalogue) as ErrorCode[];
  return [
    ...codes.filter((code) => !rows.has(code)).map((code) => `${code} has no line`),
    ...[...rows.keys()]
      .filter((code) => !((code ?? '') in catalogue))
      .map((code) => `${code} is no code of the catalogue`),
    ...codes
      .filter((code) => rows.has(code) && Number(rows.get(code)) !== httpStatus(code))
      .map((code) => `${code} answers ${httpStatus(code)}, not ${rows.get(code)}`),
  ];
}

const toJson = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

/** Replaces what stands between `<!-- generated: name -->` and `<!-- /generated -->`. */
function fill(text: string, parts: Readonly<Record<string, string>>): string {
  return text.replace(
    /(<!-- generated: (\w+) -->\n)[\s\S]*?(<!-- \/generated -->)/g,
    (_, opening: string, name: string, closing: string) => {
      const part = parts[name];
      if (part === undefined) throw new Error(`README.md asks for "${name}", which nothing generates`);
      return `${opening}\n${part}\n\n${closing}`;
    },
  );
}

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');

interface Documented {
  readonly paths?: Readonly<Record<string, Readonly<Record<string, { readonly summary?: string }>>>>;
}

function apiTable({ paths = {} }: Documented): string {
  const rows = Object.entries(paths).flatMap(([route, operations]) =>
    Object.entries(operations).map(([method, { summary = '' }]) => [
      `\`${method.toUpperCase()} ${route.replaceAll(/\{(\w+)\}/g, ':$1')}\``,
      cell(summary),
    ]),
  );
  return table(['method, path', ''], rows);
}

type Schema = z.core.JSONSchema.BaseSchema;

function configurationTable(schema: Schema): string {
  const resolve = (node: Schema): Schema =>
    node.$ref === undefined ? node : { ...schema.$defs?.[node.$ref.replace('#/$defs/', '')], ...node };
  const rowsOf = (at: string, given: Schema): string[][] => {
    const node = resolve(given);
    const item = itemOf(node);
    if (item !== null && resolve(item).properties !== undefined) return rowsOf(`${at}[]`, item);
    if (node.properties !== undefined)
      return Object.entries(node.properties).flatMap(([key, property]) =>
        typeof property === 'object' && key !== '$schema'
          ? rowsOf(at === '' ? key : `${at}.${key}`, property)
          : [],
      );
    const fallback = node.default === undefined ? '' : `\`${JSON.stringify(node.default)}\``;
    return [[`\`${at}\``, cell(typeOf(node)), cell(fallback), cell(node.description ?? '')]];
  };
  return table(['setting', 'value', 'default', ''], rowsOf('', schema));
}

const itemOf = (node: Schema): Schema | null =>
  typeof node.items === 'object' && !Array.isArray(node.items) ? node.items : null;

function typeOf(node: Schema): string {
  if (node.const !== undefined) return `\`${JSON.stringify(node.const)}\``;
  if (node.enum !== undefined) return node.enum.map((value) => `\`${JSON.stringify(value)}\``).join(', ');
  const choices = node.anyOf ?? node.oneOf;
  if (choices !== undefined) return [...new Set(choices.map(typeOf))].join(', ');
  const item = itemOf(node);
  if (item !== null) return `list of ${typeOf(item)}`;
  if (node.type === 'object' && typeof node.additionalProperties === 'object')
    return `object of ${typeOf(node.additionalProperties)}`;
  if (node.type === 'object') return `\`{${Object.keys(node.properties ?? {}).join(', ')}}\``;
  if (node.type === 'integer' && (node.maximum ?? Number.MAX_SAFE_INTEGER) < Number.MAX_SAFE_INTEGER)
    return `${node.minimum ?? 0} to ${node.maximum}`;
  return node.format === 'uri' ? 'URL' : String(node.type ?? 'any');
}

function environmentTable(): string {
  const rows = Object.entries(environmentVariables).map(([name, { path: place, description }]) => [
    `\`${name}\``,
    place.length === 0 ? '' : `\`${place.join('.')}\``,
    cell(description),
  ]);
  return table(['variable', 'overrides', ''], rows);
}

function environmentExample(): string {
  const lines = Object.entries(environmentVariables).map(
    ([name, { description }]) => `# ${description.replaceAll('`', '')}.\n# ${name}=\n`,
  );
  return `# What Switchback reads from the environment. DATABASE_URL is never read: it is the application's.\n\n${lines.join('\n')}`;
}

async function main(): Promise<void> {
  const check = process.argv.includes('--check');
  const faults = [
    ...faultsOfErrorPage(read('docs/errors.md')).map((fault) => `docs/errors.md: ${fault}`),
    ...faultsOfPeers().map((fault) => `rules of other tools: ${fault}`),
  ];
  for (const { file, content } of await generateAll()) {
    const current = readOrEmpty(file);
    if (current === content) continue;
    if (check) faults.push(`${file} is out of date: run npm run generate`);
    else write(file, content);
    if (!check) console.log(`wrote ${file}`);
  }
  for (const fault of faults) console.error(fault);
  if (faults.length > 0) process.exitCode = 1;
}

function write(file: string, content: string): void {
  mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
  writeFileSync(path.join(root, file), content);
}

function readOrEmpty(file: string): string {
  try {
    return read(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await main();
