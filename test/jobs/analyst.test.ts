import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import pino from 'pino';
import { afterEach, describe, expect, inject, test } from 'vitest';
import type { AnalysisRequest, PlanRequest } from '../../src/jobs/analysis/analysis-tasks.ts';
import { type Analyst, type AnalystOptions, openAnalyst } from '../../src/jobs/analysis/analyst.ts';
import { compare } from '../../src/migrations/compare.ts';
import { bundleOf } from '../migrations/deploy.ts';
import { waitFor } from '../support/wait.ts';

const log = pino({ level: 'silent' });
const opened: Analyst[] = [];
async function open(options: Partial<AnalystOptions> = {}): Promise<Analyst> {
  const analyst = await openAnalyst({ log, ...options });
  opened.push(analyst);
  return analyst;
}
afterEach(async () => {
  for (const analyst of opened.splice(0)) await analyst.close();
});

const nothing = { catalogue: null, previousSchema: null };
const requestOf = (sql: string, rest: Partial<AnalysisRequest> = {}): AnalysisRequest => ({
  migrations: [{ name: '20260101000000_one', sql: Buffer.from(sql), checksum: '' }],
  only: null,
  complete: true,
  surroundings: nothing,
  format: 'json',
  notices: false,
  directory: 'prisma/migrations',
  ...rest,
});

async function planRequestOf(files: Readonly<Record<string, string | Buffer>>): Promise<PlanRequest> {
  const bundle = await bundleOf(files);
  const history = { exists: false, rows: [], schemaExists: true, schemaInUse: false };
  const comparison = compare(bundle, history, { outOfOrder: 'warn' });
  return { bundle, history, comparison, serverVersion: '15', surroundings: nothing, held: null };
}

describe('the thread', () => {
  test('analyses, and renders in every format', async () => {
    const analyst = await open();
    const json = await analyst.analyse(requestOf('DROP TABLE gone;', { complete: false }));
    expect(json.verdict).toBe('dangerous');
    expect(JSON.parse(json.text)).toMatchObject({ migrations: [{ violations: [{ rule: 'drop-table' }] }] });
    const markdown = await analyst.analyse(requestOf('SELECT 1;', { format: 'markdown' }));
    expect(markdown.text).toMatch(/^## Migrations: safe/);
    const sarif = await analyst.analyse(requestOf('DROP TABLE gone;', { format: 'sarif', complete: false }));
    expect(JSON.parse(sarif.text).runs[0].results[0].locations[0].physicalLocation.artifactLocation.uri).toBe(
      'prisma/migrations/20260101000000_one/migration.sql',
    );
  });

  test('plans, with files that are no text among the rest', async () => {
    const analyst = await open();
    const plan = await analyst.plan(
      await planRequestOf({
        '1_fine': 'CREATE TABLE t (id int PRIMARY KEY);\nCREATE INDEX CONCURRENTLY i ON t (id);',
        '2_utf16': Buffer.from('select 1', 'utf16le'),
      }),
    );
    expect(plan.migrations.map(({ segments }) => segments.map(({ runs }) => runs))).toEqual([
      ['transaction', 'alone'],
      ['alone'],
    ]);
    expect(plan.analysis?.migrations.map(({ verdict }) => verdict)).toEqual([
      expect.any(String),
      'dangerous',
    ]);
    expect(plan.faults).toContainEqual(
      expect.objectContaining({
        code: 'PLAN_HAS_VIOLATIONS',
        rule: 'unparsable-statement',
        severity: 'stop',
      }),
    );
    expect(JSON.parse(JSON.stringify(plan))).toEqual(plan);
  });

  test('knows the rules of a configured module', async () => {
    const directory = mkdtempSync(path.join(inject('runFolder'), 'rules-'));
    const rules = path.join(directory, 'rules.mjs');
    writeFileSync(
      rules,
      `export default [{ id: 'no-friday', severity: 'dangerous', effect: null, summary: 's', why: 'w', peers: [],
        checkMigration: ({ text }) => text.includes('friday') ? [{ message: 'It is Friday.' }] : [] }];`,
    );
    const analyst = await open({ rules });
    expect(analyst.rules).toContain('no-friday');
    expect(await analyst.analyse(requestOf("SELECT 'friday';"))).toMatchObject({ verdict: 'dangerous' });
    writeFileSync(path.join(directory, 'none.mjs'), 'export const answer = 42;');
    await expect(open({ rules: path.join(directory, 'none.mjs') })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
    });
    rmSync(directory, { recursive: true });
  });

  test('refuses a previous schema without a model', async () => {
    const analyst = await open();
    const surroundings = { ...nothing, previousSchema: 'no schema at all' };
    await expect(analyst.analyse(requestOf('SELECT 1;', { surroundings }))).rejects.toMatchObject({
      code: 'PREVIOUS_SCHEMA_UNREADABLE',
    });
    expect(await analyst.analyse(requestOf('SELECT 1;'))).toMatchObject({ verdict: 'safe' });
  });

  test('ends when it is closed, and what waits fails', async () => {
    const analyst = await open();
    const asked = [1, 2].map((number) => analyst.analyse(requestOf(`SELECT ${number};`)));
    const outcomes = Promise.allSettled(asked);
    await analyst.close();
    for (const outcome of await outcomes)
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'ANALYSIS_BUSY' } });
    await expect(analyst.analyse(requestOf('SELECT 1;'))).rejects.toMatchObject({ code: 'ANALYSIS_BUSY' });
  });
});

describe('a text that breaks the thread', () => {
  const entry = new URL('./threads/hostile.ts', import.meta.url);
  const say = async (analyst: Analyst, text: string) =>
    (await analyst.analyse(requestOf(text))) as unknown as { text: string; thread: number };

  test.each([
    ['hang', 'ANALYSIS_TIMEOUT', /longer than 0.3 s/],
    ['die', 'ANALYSIS_FAILED', /thread ended/],
    ['crash', 'ANALYSIS_FAILED', /crashed|thread ended/],
    ['eat', 'ANALYSIS_FAILED', /more than 64 MB/],
    ['broken', 'ANALYSIS_FAILED', /not made for/],
  ])('%s fails that request only', async (text, code, message) => {
    const limitMs = text === 'hang' ? 300 : 20_000;
    const analyst = await open({ entry, limitMs, memoryMb: 64 });
    expect((await say(analyst, 'hello')).text).toBe('hello');
    const [failed, next] = await Promise.allSettled([say(analyst, text), say(analyst, 'next')]);
    expect(failed).toMatchObject({
      status: 'rejected',
      reason: { code, message: expect.stringMatching(message) },
    });
    expect(next).toMatchObject({ status: 'fulfilled', value: { text: 'next' } });
  });

  test('the thread stays the same as long as nothing breaks it', async () => {
    const analyst = await open({ entry, limitMs: 300 });
    const first = await say(analyst, 'one');
    expect((await say(analyst, 'two')).thread).toBe(first.thread);
    await expect(say(analyst, 'hang')).rejects.toMatchObject({ code: 'ANALYSIS_TIMEOUT' });
    expect((await say(analyst, 'three')).thread).not.toBe(first.thread);
  });

  test('what waits is bounded, and a plan goes before reports', async () => {
    const analyst = await open({ entry, limitMs: 500, maxWaiting: 2 });
    const order: string[] = [];
    const noted = async (asked: Promise<unknown>, name: string): Promise<void> => {
      await asked.catch((error: { code: string }) => order.push(error.code));
      order.push(name);
    };
    const all = [noted(say(analyst, 'hang'), 'hang')];
    // The first one is no longer waiting then.
    await waitFor(() => Promise.resolve(true), { what: 'a turn of the loop' });
    all.push(noted(say(analyst, 'a'), 'a'), noted(say(analyst, 'b'), 'b'));
    await expect(say(analyst, 'c')).rejects.toMatchObject({ code: 'ANALYSIS_BUSY' });
    all.push(noted(analyst.plan(await planRequestOf({ '1_a': 'SELECT 1;' })), 'plan'));
    await Promise.all(all);
    expect(order).toEqual(['ANALYSIS_TIMEOUT', 'hang', 'plan', 'a', 'b']);
  });

  test('a thread that cannot start', async () => {
    const analyst = await open({ entry: new URL('./threads/not-there.ts', import.meta.url) });
    await expect(say(analyst, 'hello')).rejects.toMatchObject({ code: 'ANALYSIS_FAILED' });
  });
});

test('an idle thread keeps no process alive, and the sources run by tsx from any folder', () => {
  const analyst = new URL('../../src/jobs/analysis/analyst.ts', import.meta.url).href;
  const code = `const { openAnalyst } = await import(${JSON.stringify(analyst)});
    const { text } = await (await openAnalyst({ log: console })).analyse({ migrations: [
      { name: 'x', sql: Buffer.from('SELECT 1;'), checksum: '' }], only: null, complete: true,
      held: null,
  surroundings: { catalogue: null, previousSchema: null }, format: 'json', notices: false, directory: '' });
    console.log(JSON.parse(text).verdict);`;
  const { stdout, status } = spawnSync(
    process.execPath,
    ['--import', import.meta.resolve('tsx'), '--input-type=module', '--eval', code],
    { cwd: '/', encoding: 'utf8', timeout: 25_000 },
  );
  expect([stdout, status]).toEqual(['safe\n', 0]);
});
