import type { Allowance, DatabaseConfig } from '../config.ts';
import type { Control } from '../db/control/control.ts';
import { toJson } from '../db/control/job-rows.ts';
import type { AppError } from '../errors.ts';
import type { ProbeOutcome } from '../health/probe.ts';
import type { ApplyEvent } from '../migrations/apply.ts';
import { type LoggedMigration, type MigrationLog, toMarkdown } from '../migrations/migration-log.ts';
import type { Plan, PlannedMigration } from '../migrations/plan.ts';
import type { PreflightCheck } from '../migrations/preflight.ts';
import type { MigrationOutcome } from '../migrations/run-migration.ts';
import type { VerificationCheck } from '../migrations/verify.ts';
import type { RunningJob } from './define-job.ts';

/** Gathers what a deployment does, for its migration log: there is one also of a deployment that failed half-way. */
export class DeploymentDraft {
  readonly allowances: readonly Allowance[];
  preflight: readonly PreflightCheck[] = [];
  verification: readonly VerificationCheck[] = [];
  probes: readonly ProbeOutcome[] = [];
  readonly #job: RunningJob;
  readonly #database: DatabaseConfig;
  readonly #startedAt = new Date();
  readonly #timings: { step: string; durationMs: number }[] = [];
  readonly #outcomes = new Map<string, MigrationOutcome>();
  readonly #started = new Set<string>();
  #plan: Plan | null = null;
  #backup: MigrationLog['backup'] = { none: 'The deployment ended before its backup.' };

  constructor(job: RunningJob, database: DatabaseConfig, allowances: readonly Allowance[]) {
    this.#job = job;
    this.#database = database;
    this.allowances = allowances;
  }

  async timed<T>(step: string, work: () => Promise<T>): Promise<T> {
    const startedAt = performance.now();
    try {
      return await work();
    } finally {
      this.#timings.push({ step, durationMs: Math.round(performance.now() - startedAt) });
    }
  }

  planned(plan: Plan): void {
    this.#plan = plan;
    if (plan.migrations.length === 0) this.#backup = { none: 'Nothing was to be applied.' };
  }

  backedUp(backup: MigrationLog['backup']): void {
    this.#backup = backup;
  }

  saw(event: ApplyEvent): void {
    if (event.type === 'migration started') this.#started.add(event.migration);
    if (event.type === 'migration applied') this.#outcomes.set(event.outcome.name, event.outcome);
  }

  appliedNames(): string[] {
    return [...this.#outcomes.keys()];
  }

  backupId(): string | null {
    return 'id' in this.#backup ? this.#backup.id : null;
  }

  /** Keeps plan and report with the deployment's record. */
  async store(control: Control, error: AppError | null): Promise<void> {
    const log = this.#toLog(error);
    await control.prisma.deployment.update({
      where: { jobId: this.#job.id },
      data: {
        ...(this.#plan === null ? {} : { plan: toJson(this.#plan) }),
        report: toJson({ ...log, markdown: toMarkdown(log) }),
      },
    });
  }

  #toLog(error: AppError | null): MigrationLog {
    const migrations = this.#plan?.migrations ?? [];
    return {
      deployment: this.#job.id,
      database: this.#database.name,
      environment: this.#database.environment,
      requestedBy: this.#job.requestedBy,
      startedAt: this.#startedAt.toISOString(),
      finishedAt: new Date().toISOString(),
      outcome: outcomeOf(error, migrations.length),
      purpose:
        migrations.length === 0
          ? 'Nothing was pending.'
          : `Applies ${migrations.length} pending migration(s): ${migrations.map((one) => one.name).join(', ')}.`,
      migrations: migrations.map((migration) => this.#logMigration(migration, error)),
      // Violations of a migration stand with it.
      warnings: (this.#plan?.faults ?? []).filter(
        ({ severity, allowed, rule, migration }) =>
          (severity === 'warn' || allowed !== undefined) && (rule === undefined || migration === null),
      ),
      allowances: this.allowances,
      rollbackPlan: this.#rollbackPlan(),
      testing: 'Not rehearsed: neither the migrations nor a way back was tried in a scratch database.',
      backup: this.#backup,
      preflight: this.preflight,
      verification: this.verification,
      probes: this.probes,
      timings: this.#timings,
      error: error?.toRecord() ?? null,
    };
  }

  #rollbackPlan(): string {
    return 'id' in this.#backup
      ? `Restore backup ${this.#backup.id}, taken ${this.#backup.takenAt} (pg_restore of the store's object): what was written since is lost.`
      : 'None: no backup was taken for this deployment.';
  }

  #logMigration(migration: PlannedMigration, error: AppError | null): LoggedMigration {
    const outcome = this.#outcomes.get(migration.name);
    const steps = migration.segments.flatMap((segment) => segment.steps);
    return {
      name: migration.name,
      outcome: outcome === undefined ? this.#unfinished(migration.name, error) : 'applied',
      statements: steps.map(({ summary, line }) => ({ summary, line })),
      segments: outcome?.segments ?? migration.segments.length,
      tries: outcome?.tries ?? 1,
      durationMs: outcome?.durationMs ?? null,
      locks: outcome?.locks ?? [],
      notices: [...(outcome?.notices ?? []), ...(outcome?.remarks ?? [])],
      ...this.#judged(migration.name),
    };
  }

  #judged(name: string): Pick<LoggedMigration, 'verdict' | 'violations'> {
    const { analysis = null, faults = [] } = this.#plan ?? {};
    const judged = analysis?.migrations.find((one) => one.name === name);
    if (judged === undefined) return { verdict: null, violations: [] };
    const violations = judged.violations.filter(
      ({ severity }) => severity === 'caution' || severity === 'dangerous',
    );
    return {
      verdict: judged.verdict,
      violations: violations.map(({ rule, severity, line, message, suppressed }) => ({
        rule,
        severity,
        line,
        message,
        allowed:
          suppressed ??
          faults.find((fault) => fault.rule === rule && fault.migration === name)?.allowed ??
          null,
      })),
    };
  }

  #unfinished(name: string, error: AppError | null): LoggedMigration['outcome'] {
    if (!this.#started.has(name)) return 'not started';
    return error?.code === 'MIGRATION_HALF_APPLIED' || error?.code === 'STEP_UNKNOWN'
      ? 'half applied'
      : 'failed';
  }
}

function outcomeOf(error: AppError | null, migrations: number): MigrationLog['outcome'] {
  if (error !== null) return error.code === 'JOB_CANCELLED' ? 'cancelled' : 'failed';
  return migrations === 0 ? 'nothing to do' : 'succeeded';
}
