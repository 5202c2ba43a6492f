/** Deploys folders given as text, for tests of the engine: what the job's steps load, plan and apply do. */
import { schemaFrom } from '../../src/analysis/schema/from-catalogue.ts';
import type { Policy } from '../../src/config.ts';
import { readCatalogue } from '../../src/db/catalogue.ts';
import { openSession, type Session, withSession } from '../../src/db/session.ts';
import { parseTarget } from '../../src/db/target.ts';
import { type ApplyEvent, apply } from '../../src/migrations/apply.ts';
import { compare } from '../../src/migrations/compare.ts';
import { allow } from '../../src/migrations/fault.ts';
import { readHistory } from '../../src/migrations/history.ts';
import type { Keeping } from '../../src/migrations/keeping.ts';
import type { MigrationOutcome } from '../../src/migrations/migration-run.ts';
import { makePlan, type Plan } from '../../src/migrations/plan.ts';
import { assembleBundle, type Bundle } from '../../src/migrations/read.ts';
import { savedEntries } from '../../src/migrations/saved-entries.ts';
import { type Reversal, type ReversalOutcome, takeBack } from '../../src/migrations/take-back.ts';
import { loadParser } from '../../src/sql/parse.ts';

export type { Reversal };

export interface DeployOptions {
  readonly jobId?: string;
  readonly lockTimeoutMs?: number;
  readonly lockBudgetMs?: number;
  readonly signal?: AbortSignal;
  readonly allow?: Policy['allow'];
  /** Keeps what is removed; `allow` holds for it, too. */
  readonly vault?: Partial<Keeping>;
  readonly restore?: boolean;
  readonly report?: (event: ApplyEvent) => void;
}

/** A bundle of migrations by name. */
export const bundleOf = (files: Readonly<Record<string, string | Buffer>>): Promise<Bundle> =>
  assembleBundle('the test', Object.keys(files), {
    async read(relative) {
      if (relative === 'migration_lock.toml') return Buffer.from('provider = "postgresql"\n');
      const sql = files[relative.replace('/migration.sql', '')];
      return sql === undefined ? null : Buffer.from(sql);
    },
    list: async () => [],
  });

export async function planFor(url: string, bundle: Bundle, keeps = false): Promise<Plan> {
  const target = parseTarget(url);
  await loadParser();
  return withSession(target, { applicationName: 'switchback:test' }, async (session) => {
    const history = await readHistory(session, target.schema);
    const { rows } = await session.query<{ version: string }>(
      "select current_setting('server_version') as version",
    );
    const comparison = compare(bundle, history, { outOfOrder: 'warn' });
    const schema = keeps ? schemaFrom(await readCatalogue(session), { defaultSchema: target.schema }) : null;
    return makePlan({ bundle, history, comparison, serverVersion: rows[0]?.version ?? '', schema });
  });
}

/** @throws AppError the first fault that stops, and those of `apply` */
export async function deploy(
  url: string,
  files: Readonly<Record<string, string | Buffer>>,
  options: DeployOptions = {},
): Promise<MigrationOutcome[]> {
  const bundle = await bundleOf(files);
  const made = await planFor(url, bundle, options.vault !== undefined);
  const plan = { ...made, faults: allow(made.faults, options.allow ?? []) };
  return apply({
    target: parseTarget(url),
    bundle,
    plan,
    jobId: options.jobId ?? 'test',
    lockTimeoutMs: options.lockTimeoutMs ?? 1_000,
    lockBudgetMs: options.lockBudgetMs ?? 5_000,
    vault: options.vault === undefined ? null : keeping(options),
    restore: options.restore ?? false,
    signal: options.signal ?? new AbortController().signal,
    report: options.report ?? (() => undefined),
  });
}

const keeping = ({ vault, allow: allowances = [] }: DeployOptions): Keeping => ({
  operation: 'deployment',
  retentionDays: 30,
  limitBytes: null,
  whenFull: 'refuse',
  backup: null,
  allow: allowances,
  ...vault,
});

/** What a rollback by hand needs to know of the applied migrations with these names, in this order. */
export async function reversalsOf(url: string, texts: Readonly<Record<string, string>>): Promise<Reversal[]> {
  const target = parseTarget(url);
  return withSession(target, { applicationName: 'switchback:test' }, async (session) => {
    const { rows } = await readHistory(session, target.schema);
    const reversals: Reversal[] = [];
    for (const [name, sql] of Object.entries(texts)) {
      const row = rows.findLast((one) => one.name === name && one.rolledBackAt === null);
      if (row === undefined) throw new Error(`${name} is not applied`);
      const entries = await savedEntries(session, target.schema, name, 'forth');
      reversals.push({ name, historyId: row.id, checksum: row.checksum, sql, entries });
    }
    return reversals;
  });
}

/** Takes migrations back by texts given by name, the one that was applied last first. */
export async function rollBack(
  url: string,
  texts: Readonly<Record<string, string>>,
  options: DeployOptions & { resumes?: boolean; reversals?: readonly Reversal[] } = {},
): Promise<ReversalOutcome[]> {
  await loadParser();
  return takeBack({
    target: parseTarget(url),
    reversals: options.reversals ?? (await reversalsOf(url, texts)),
    jobId: options.jobId ?? 'test',
    lockTimeoutMs: options.lockTimeoutMs ?? 1_000,
    lockBudgetMs: options.lockBudgetMs ?? 5_000,
    vault: keeping({ ...options, vault: { operation: 'rollback', ...options.vault } }),
    resumes: options.resumes ?? false,
    signal: options.signal ?? new AbortController().signal,
    report: options.report ?? (() => undefined),
  });
}

/** Runs one query in a session of its own; the rows' values. */
export const rowsOf = <Row extends object>(url: string, sql: string): Promise<Row[]> =>
  withSession(
    parseTarget(url),
    { applicationName: 'test' },
    async (session) => (await session.query<Row>(sql)).rows,
  );

/** Another client of the database, such as one that holds locks. Close it. */
export const openClient = (url: string, applicationName = 'somebody else'): Promise<Session> =>
  openSession(parseTarget(url), { applicationName });

export interface HistoryFacts {
  readonly name: string;
  readonly finished: boolean;
  readonly rolledBack: boolean;
  readonly logs: string | null;
  readonly steps: number;
}

export const historyOf = (url: string): Promise<HistoryFacts[]> =>
  rowsOf(
    url,
    `select migration_name as name, finished_at is not null as finished, rolled_back_at is not null as "rolledBack",
            logs, applied_steps_count as steps
       from public._prisma_migrations order by started_at`,
  );

/** Names of the tables in `public` that migrations made. */
export const tablesOf = async (url: string): Promise<string[]> =>
  (
    await rowsOf<{ name: string }>(
      url,
      "select relname as name from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r' and relname <> '_prisma_migrations' order by 1",
    )
  ).map(({ name }) => name);

export const hasJournal = async (url: string): Promise<boolean> =>
  (await rowsOf<{ present: boolean }>(url, "select to_regclass('switchback.step') is not null as present"))[0]
    ?.present === true;

/** Calls back at the first event that fits. */
export const once = (fits: (event: ApplyEvent) => boolean, act: (event: ApplyEvent) => void) => {
  let acted = false;
  return (event: ApplyEvent): void => {
    if (acted || !fits(event)) return;
    acted = true;
    act(event);
  };
};
