/**
 * The main job, for real: starts Switchback on the embedded PostgreSQL, deploys examples/globalrx over HTTP, takes it back
 * and deploys it again, changes rows, then deploys a migration that fails. Exits 1 when anything is not as it should be.
 */
import { Closing } from '../src/cli/closing.ts';
import { heading, type Line, say, showProgress, table } from './demo/screen.ts';
import { openStage, type Stage } from './demo/stage.ts';

const database = 'globalrx';
const lines: Line[] = [];

function expect(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(`not as expected: ${what}`);
}

async function timed<T>(what: string, work: () => Promise<{ outcome: string; value: T }>): Promise<T> {
  const startedAt = performance.now();
  const { outcome, value } = await work();
  lines.push({ what, outcome, ms: performance.now() - startedAt });
  return value;
}

async function demo(stage: Stage): Promise<void> {
  say(`Switchback is up on ${stage.url}, its data in ${stage.dataFolder}`);
  await deployFirst(stage);
  await backUp(stage);
  await plan(stage);
  const before = await stage.contents();
  await deployRest(stage);
  await checkHealth(stage);
  await rollBack(stage, before);
  await migrateData(stage);
  await deployBroken(stage);
}

async function deployFirst(stage: Stage): Promise<void> {
  const [first] = await stage.addMigrations(1);
  heading(`1. The first migration, ${first}, and rows for the others to meet`);
  await timed('deploy the first migration', async () => {
    const { job } = await start(stage, 'deployments');
    const { status } = await stage.client.result(job);
    expect(status === 200, 'the first deployment succeeds');
    return { outcome: 'succeeded', value: null };
  });
  await timed('seed', async () => {
    const rows = await stage.seed();
    return { outcome: `${rows.toLocaleString('en')} rows`, value: null };
  });
  await stage.addMigrations(5);
}

async function backUp(stage: Stage): Promise<void> {
  heading('2. A backup, read back whole before it is called good');
  await timed('back up', async () => {
    const { job } = await start(stage, 'backups');
    expect((await showProgress(stage.client.events(job))) === 'succeeded', 'the backup succeeds');
    const { body } = await stage.client.result(job);
    const { bytes } = body.result as { bytes: number };
    return { outcome: `${bytes.toLocaleString('en')} bytes, verified`, value: null };
  });
}

async function plan(stage: Stage): Promise<void> {
  heading('3. A dry run: what would be done');
  await timed('plan', async () => {
    const { body } = await stage.client.post<PlanAnswer>('/api/plans', { database });
    const { migrations, analysis, faults } = body.body;
    for (const { name, segments } of migrations) {
      const statements = segments.reduce((sum, segment) => sum + segment.steps.length, 0);
      const { verdict } = analysis.migrations.find((one) => one.name === name) ?? { verdict: 'unknown' };
      say(`  ${name}: ${statements} statement(s) in ${segments.length} transaction(s), ${verdict}`);
    }
    for (const { severity, message } of faults) if (severity === 'stop') say(`  stops: ${message}`);
    expect(migrations.length === 4, 'four migrations are pending');
    expect(faults.filter(({ severity }) => severity === 'stop').length === 1, 'one violation stops it');
    return { outcome: `${migrations.length} pending, ${analysis.verdict}`, value: null };
  });
}

interface PlanAnswer {
  readonly body: {
    readonly migrations: readonly {
      readonly name: string;
      readonly segments: readonly { readonly steps: readonly unknown[] }[];
    }[];
    readonly analysis: {
      readonly verdict: string;
      readonly migrations: readonly { readonly name: string; readonly verdict: string }[];
    };
    readonly faults: readonly { readonly severity: string; readonly message: string }[];
  };
}

const moved = {
  code: 'data-moved-then-dropped',
  reason: 'the example: nobody writes the old column while this runs',
};

async function deployRest(stage: Stage): Promise<void> {
  heading('4. The deployment, followed over Server-Sent Events');
  await timed('deploy what a rule forbids', async () => {
    const { job } = await start(stage, 'deployments');
    const { body } = await stage.client.result(job);
    expect(body.code === 'PLAN_HAS_VIOLATIONS', 'the deployment is refused');
    // The next alert is to be another one.
    await stage.receiver.next(20_000);
    return { outcome: `refused, as it should (${body.code})`, value: null };
  });
  await timed('deploy, allowed by name', async () => {
    const { job } = await start(stage, 'deployments', { allow: [moved] });
    expect((await showProgress(stage.client.events(job))) === 'succeeded', 'the deployment succeeds');
    const { body } = await stage.client.result(job);
    return { outcome: `${(body.result as { applied: string[] }).applied.length} applied`, value: null };
  });
}

async function checkHealth(stage: Stage): Promise<void> {
  heading('5. A deep health check: through the queue, a worker and the database');
  await timed('deep health', async () => {
    const { status, body } = await stage.client.get<{
      status: string;
      checks: Record<string, { status: string }[]>;
    }>('/api/health/deep', { anyStatus: true });
    for (const [name, [check]] of Object.entries(body.checks)) say(`  ${name}: ${check?.status}`);
    expect(status === 200 && body.status === 'pass', 'everything is healthy');
    return { outcome: body.status, value: null };
  });
}

async function rollBack(stage: Stage, before: string): Promise<void> {
  heading('6. The way back: the last four migrations, with the data that they removed, and forth again');
  await timed('roll back', async () => {
    const { job } = await start(stage, 'rollbacks', { count: 4 });
    expect((await showProgress(stage.client.events(job))) === 'succeeded', 'the rollback succeeds');
    const { body } = await stage.client.result(job);
    const { rolledBack, conflicts } = body.result as { rolledBack: string[]; conflicts: number };
    for (const name of rolledBack) say(`  ${name}`);
    expect((await stage.contents()) === before, 'every row is as it was before the deployment');
    return {
      outcome: `${rolledBack.length} taken back, ${conflicts} conflicts, every row as before`,
      value: null,
    };
  });
  await timed('deploy again', async () => {
    const again = { code: 'MIGRATION_ROLLED_BACK', reason: 'the demo goes on' };
    const { job } = await start(stage, 'deployments', { allow: [moved, again] });
    const { status, body } = await stage.client.result(job);
    expect(status === 200, 'the second deployment succeeds');
    // A rollback is told, too.
    const { data } = await stage.receiver.next(20_000);
    expect(data.condition === 'rollback-executed', 'the alert says that there was a rollback');
    return { outcome: `${(body.result as { applied: string[] }).applied.length} applied`, value: null };
  });
}

async function migrateData(stage: Stage): Promise<void> {
  heading('7. A data migration: each row once, in batches, validated in full, with a feature flag');
  await timed('migrate data', async () => {
    const { job } = await start(stage, 'data-migrations', {
      flag: 'notes-are-never-null',
      spec: {
        ...{ name: 'orders-notes', kind: 'backfill', table: 'orders' },
        ...{ where: 'notes is null', set: { notes: "''" } },
      },
    });
    expect((await showProgress(stage.client.events(job))) === 'succeeded', 'the data migration succeeds');
    const { body } = await stage.client.result(job);
    const { changed, validation } = body.result as { changed: number; validation: string };
    say(`  ${validation}`);
    return { outcome: `${changed.toLocaleString('en')} rows changed, validated`, value: null };
  });
}

async function deployBroken(stage: Stage): Promise<void> {
  heading('8. A sixth migration, which is broken');
  const before = await stage.picture();
  await stage.addMigration(
    '20260301090000_require_phone',
    '-- AlterTable\nALTER TABLE "customers" ADD COLUMN "phone" TEXT;\nUPDATE "customers" SET "status" = \'CLOSED\';\n' +
      'ALTER TABLE "customers" ALTER COLUMN "phone" SET NOT NULL;\n',
  );
  await timed('deploy the broken one', async () => {
    const { job } = await start(stage, 'deployments');
    expect((await showProgress(stage.client.events(job))) === 'failed', 'the deployment fails');
    const { status, body } = await stage.client.result(job);
    expect(status >= 400, 'the gate fails with it');
    say(`  ${body.code}: ${body.detail}`);
    return { outcome: `failed, as it should (${body.code})`, value: null };
  });
  await timed('alert', async () => {
    const { data } = await stage.receiver.next(20_000);
    expect(data.condition === 'job-failed', 'the alert says that the job failed');
    say(`  ${data.title}`);
    return { outcome: 'received, signature verified', value: null };
  });
  await timed('compare the database', async () => {
    expect((await stage.picture()) === before, 'the database is as it was');
    return { outcome: 'as it was before', value: null };
  });
}

async function start(stage: Stage, operation: string, rest: object = {}): Promise<{ job: string }> {
  const { body } = await stage.client.post<{ job: { id: string } }>(`/api/${operation}`, {
    database,
    ...rest,
  });
  return { job: body.job.id };
}

const closing = new Closing();
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => {
    say('\nInterrupted.');
    process.exitCode = 130;
    void closing.close();
  });
try {
  await demo(await openStage(closing));
  heading('What happened');
  table(lines);
} catch (error) {
  // What fails after an interruption fails because of it.
  if (process.exitCode === undefined) say(`\nThe demo stopped: ${String(error)}`);
  process.exitCode ??= 1;
} finally {
  await closing.close();
}
