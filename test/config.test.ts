import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { defaultPolicy } from '../src/analysis/policy.ts';
import { describeConfig, loadConfig } from '../src/config.ts';
import { AppError } from '../src/errors.ts';
import { checkAnalysisConfig } from '../src/jobs/analysis/analysis-config.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'switchback-config-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const write = (content: unknown): void =>
  writeFileSync(
    path.join(directory, 'switchback.config.json'),
    typeof content === 'string' ? content : JSON.stringify(content),
  );
const load = (env: Record<string, string> = {}) => loadConfig(env, { cwd: directory });
const faultsOf = (work: () => unknown): string[] => {
  try {
    work();
  } catch (error) {
    expect(error).toBeInstanceOf(AppError);
    expect((error as AppError).code).toBe('CONFIG_INVALID');
    return ((error as AppError).details.faults as { path: string; message: string }[]).map(
      (fault) => fault.path,
    );
  }
  return [];
};

const orders = { name: 'orders', url: 'postgres://app:secret@db/orders', migrations: './prisma/migrations' };

describe('loadConfig', () => {
  test('gives defaults where nothing is configured', () => {
    const config = load();
    expect(config.file).toBeNull();
    expect(config.http).toMatchObject({ host: '127.0.0.1', port: 7410 });
    expect(config.databases).toEqual([]);
    expect(config.alerts.overdueSeconds).toBe(300);
    expect(Object.isFrozen(config.http)).toBe(true);
  });

  test('gives a database its policy and an absolute migrations directory', () => {
    write({ databases: [orders] });
    expect(load().databases[0]).toMatchObject({
      migrations: path.join(directory, 'prisma/migrations'),
      environment: 'production',
      policy: { outOfOrder: 'warn', backup: 'always', bundles: 'directory', lockTimeoutMs: 2000 },
    });
  });

  test('gives the analysis the policy that the analyser has by itself, and absolute places', () => {
    write({
      databases: [{ ...orders, previousSchema: 'last/schema.prisma' }],
      analysis: { rules: './rules.mjs' },
      transforms: 'transforms',
    });
    expect(load()).toMatchObject({
      analysis: { rules: path.join(directory, 'rules.mjs') },
      transforms: path.join(directory, 'transforms'),
      databases: [
        {
          previousSchema: path.join(directory, 'last/schema.prisma'),
          policy: { analysis: defaultPolicy },
        },
      ],
    });
    write({
      databases: [
        {
          ...orders,
          policy: { analysis: { rules: { 'drop-table': 'fatal' }, thresholds: { briefSeconds: -1 } } },
        },
      ],
    });
    const at = 'databases.0.policy.analysis';
    expect(faultsOf(load)).toEqual([`${at}.rules.drop-table`, `${at}.thresholds.briefSeconds`]);
  });

  test('lists every fault at once, unknown keys and variables among them', () => {
    write({ http: { port: 'x', hots: 1 }, databases: [{ ...orders, url: 'mysql://x' }, orders], wroker: {} });
    expect(faultsOf(() => load({ SWITCHBACK_DATBASE_URL: 'postgres://x' })).sort()).toEqual(
      ['SWITCHBACK_DATBASE_URL', 'databases.0.url', 'http.hots', 'http.port', 'wroker'].sort(),
    );
  });

  test('refuses two databases of one name and tokens for databases that do not exist', () => {
    write({
      databases: [orders, orders],
      tokens: [{ name: 'ci', sha256: 'a'.repeat(64), scopes: ['read'], databases: ['ordres'] }],
    });
    expect(faultsOf(() => load())).toEqual(['databases.1.name', 'tokens.0.databases']);
  });

  test('takes secrets from the environment and names those that are not set', () => {
    write({ databases: [{ ...orders, url: 'postgres://app:$' + '{DB_PASSWORD}@db/orders' }] });
    expect(load({ DB_PASSWORD: 'hunter2' }).databases[0]?.url).toBe('postgres://app:hunter2@db/orders');
    expect(faultsOf(() => load())).toEqual(['databases.0.url']);
  });

  test('never reads DATABASE_URL', () => {
    expect(load({ DATABASE_URL: 'postgres://application' }).controlDatabase).toBeUndefined();
    expect(load({ SWITCHBACK_DATABASE_URL: 'postgres://ours' }).controlDatabase?.url).toBe('postgres://ours');
  });

  test('says of a file that is no JSON where it stops being so', () => {
    write('{ "http": ');
    expect(() => load()).toThrow(/cannot be read as JSON/);
  });

  test('says of a file that was named and is not there that it is not', () => {
    expect(faultsOf(() => loadConfig({ SWITCHBACK_CONFIG: 'nowhere.json' }, { cwd: directory }))).toEqual([
      'SWITCHBACK_CONFIG',
    ]);
  });

  test('keeps secrets from the environment out of the faults', () => {
    write({
      databases: [{ ...orders, name: '$' + '{SECRET}' }],
      tokens: [{ name: 'x', sha256: 'a'.repeat(64), scopes: ['read'], databases: ['$' + '{OTHER}'] }],
    });
    expect(() => load({ SECRET: 'HUNTER-TWO', OTHER: 'hunter-three' })).toThrow(
      expect.objectContaining({ message: expect.not.stringMatching(/hunter/i) }),
    );
  });
});

test('describeConfig redacts passwords, signing keys and token hashes', () => {
  write({
    databases: [{ ...orders, url: 'postgres://app:secret@db/orders?schema=sales&sslpassword=secret' }],
    tokens: [{ name: 'ci', sha256: 'ab'.repeat(32), scopes: ['read'] }],
    alerts: {
      sinks: [
        {
          type: 'webhook',
          name: 'chat',
          url: 'https://chat.example/hook',
          secret: `whsec_${'c2VjcmV0'.repeat(5)}`,
        },
      ],
    },
  });
  const shown = JSON.stringify(describeConfig(load()));
  expect(shown).not.toMatch(/secret@|sslpassword=secret|c2VjcmV0|abab/);
  expect(shown).toContain('postgres://app:[redacted]@db/orders?schema=sales');
});

describe('what configures the analysis', () => {
  const check = async (): Promise<string[]> => {
    try {
      await checkAnalysisConfig(load());
    } catch (error) {
      return faultsOf(() => {
        throw error;
      });
    }
    return [];
  };
  const policy = { analysis: { rules: { 'drop-table': 'caution', 'no-friday': 'dangerous' } } };

  test('may name rules that there are, of the configured module among them', async () => {
    write({ databases: [{ ...orders, policy }] });
    expect(await check()).toEqual(['databases.0.policy.analysis.rules.no-friday']);
    write({ databases: [{ ...orders, policy }], analysis: { rules: 'rules.mjs' } });
    const rule = `{ id: 'no-friday', severity: 'notice', effect: null, summary: '', why: '', peers: [], checkFolder: () => [] }`;
    writeFileSync(path.join(directory, 'rules.mjs'), `export const rules = [${rule}];`);
    expect(await check()).toEqual([]);
  });

  test.each([
    ['is not there', null],
    ['does not load', 'export default ['],
    ['has no rules', 'export default 42;'],
    ['has a rule that is none', 'export default [{ id: "x" }];'],
  ])('tells of a module that %s', async (_, content) => {
    write({ analysis: { rules: './other.mjs' } });
    if (content !== null) writeFileSync(path.join(directory, 'other.mjs'), content);
    expect(await check()).toEqual(['analysis.rules']);
  });
});
