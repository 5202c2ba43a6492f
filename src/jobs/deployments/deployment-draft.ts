import type { Allowance, DatabaseConfig } from '../../config.ts';
import type { Control } from '../../db/control/control.ts';
import { toJson } from '../../db/control/job-rows.ts';
import type { AppError } from '../../errors.ts';
import type { ProbeOutcome } from '../../health/probe.ts';
import type { ApplyEvent } from '../../migrations/apply.ts';
import { type LoggedMigration, type MigrationLog, toMarkdown } from '../../migrations/migration-log.ts';
import type { MigrationOutcome } from '../../migrations/migration-run.ts';
import type { Plan, PlannedMigration } from '../../migrations/plan.ts';
import type { PreflightCheck } from '../../migrations/preflight.ts';
import type { VerificationCheck } from '../../migrations/verify.ts';
import type { RunningJob } from '../define-job.ts';
import type { WayBack } from '../rollbacks/way-back.ts';
import type { BusyDataMigration } from './table-use.ts';

/** Gathers what a deployment does, for its migration log: there is one also of a deployment that failed half-way. */
export class DeploymentDraft {
  readonly allowances: readonly Allowance[];
  preflight: readonly PreflightCheck[] = [];
  verification: readonly VerificationCheck[] = [];
  probes: readonly ProbeOutcome[] = [];
  /** What an earlier attempt of the job began with. */
  begun: Plan | null = null;
  /** Whether it came to applying. */
  applying = false;
  /** Data migrations that were paused for it. */
  paused: readonly BusyDataMigration[] = [];
  /** What became of taking it back by itself. */
  rollback: MigrationLog['rollback'] = null;
  readonly #job: RunningJob;
  readonly #database: DatabaseConfig;
  readonly #startedAt = new Date();
  readonly #timings: { step: string; durationMs: number }[] = [];
  readonly #outcomes = new Map<string, MigrationOutcome>();
  readonly #started = new Set<string>();
  #plan: Plan | null = null;
  #rehearsal: readonly WayBack[] | { readonly never: string } | null = null;
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

  /** What came of rehearsing, or why that was not done. */
  rehearsed(rehearsal: readonly WayBack[] | { readonly never: string }): void {
    this.#rehearsal = rehearsal;
  }

  backedUp(backup: MigrationLog['backup']): void {
    this.#backup = backup;
  }

  saw(event: ApplyEvent): void {
    if (event.type === 'migration started') this.#started.add(event.migration);
    if (event.type === 'migration applied') this.#outcomes.set(event.outcome.name, event.outcome);
  }

  /** What an earlier attempt has applied: it is in the plan that was begun, and no longer pending. */
  earlier(): readonly PlannedMigration[] {
    const pending = new Set(this.#plan?.migrations.map(({ name }) => name));
    return this.#plan === null ? [] : (this.begun?.migrations ?? []).filter(({ name }) => !pending.has(name));
  }

  appliedNames(): string[] {
    return [...this.earlier().map(({ name }) => name), ...this.#outcomes.keys()];
  }

  backup(): MigrationLog['backup'] {
    return this.#backup;
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
        // What it began with says more than what a later attempt has found left.
        ...(this.#plan === null || this.begun !== null ? {} : { plan: toJson(this.#plan) }),
        report: toJson({ ...log, markdown: toMarkdown(log) }),
      },
    });
  }

  #toLog(error: AppError | null): MigrationLog {
    const migrations = [...this.earlier(), ...(this.#plan?.migrations ?? [])];
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
      pausedDataMigrations: this.paused,
      rollbackPlan: this.#rollbackPlan(),
      testing: this.#testing(),
      rollback: this.rollback,
      backup: this.#backup,
      preflight: this.preflight,
      verification: this.verification,
      probes: this.probes,
      timings: this.#timings,
      error: error?.toRecord() ?? null,
    };
  }

  #testing(): string {
    const rehearsal = this.#rehearsal;
    if (rehearsal === null) return 'The deployment ended before its rehearsal.';
    if ('never' in rehearsal) return `Not rehearsed: ${rehearsal.never}`;
    const proven = rehearsal.filter(({ outcome }) => outcome === 'proven').length;
    return `Rehearsed in a scratch database: the way back of ${proven} of ${rehearsal.length} migration(s) is proven.`;
  }

  #wayBackOf(name: string): LoggedMigration['wayBack'] {
    const way = Array.isArray(this.#rehearsal)
      ? (this.#rehearsal as readonly WayBack[]).find(({ migration }) => migration === name)
      : undefined;
    if (way === undefined) return null;
    const { source, outcome, provenOn, reasons } = way;
    return { source, outcome, provenOn, reasons };
  }

  #rollbackPlan(): string {
    const open = (this.#plan?.migrations ?? []).filter(
      ({ name }) => this.#wayBackOf(name)?.outcome !== 'proven',
    );
    const proven =
      this.#plan !== null && this.#plan.migrations.length > 0 && open.length === 0
        ? 'POST /api/rollbacks: the way back of every migration is proven, and what they remove is in the vault until its retention ends. Else: '
        : '';
    return `${proven}${this.#restorePlan()}`;
  }

  #restorePlan(): string {
    return 'id' in this.#backup
      ? `Restore backup ${this.#backup.id}, taken ${this.#backup.takenAt} (pg_restore of the store's object): what was written since is lost.`
      : 'None: no backup was taken for this deployment.';
  }

  #logMigration(migration: PlannedMigration, error: AppError | null): LoggedMigration {
    const outcome = this.#outcomes.get(migration.name);
    const steps = migration.segments.flatMap((segment) => segment.steps);
    const isEarlier = this.earlier().includes(migration);
    return {
      name: migration.name,
      outcome: this.#outcomeOf(migration.name, error),
      statements: steps.map(({ summary, line }) => ({ summary, line })),
      segments: outcome?.segments ?? migration.segments.length,
      tries: outcome?.tries ?? 1,
      durationMs: outcome?.durationMs ?? null,
      locks: outcome?.locks ?? [],
      notices: [...(outcome?.notices ?? []), ...(outcome?.remarks ?? [])],
      kept: outcome?.kept ?? (isEarlier ? null : []),
      unkept: outcome?.unkept ?? [],
      wayBack: this.#wayBackOf(migration.name),
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

  #outcomeOf(name: string, error: AppError | null): LoggedMigration['outcome'] {
    if (this.rollback?.rolledBack.includes(name) === true) return 'rolled back';
    return this.appliedNames().includes(name) ? 'applied' : this.#unfinished(name, error);
  }

  #unfinished(name: string, error: AppError | null): LoggedMigration['outcome'] {
    if (!this.#started.has(name)) return 'not started';
    return error?.code === 'MIGRATION_HALF_APPLIED' || error?.code === 'STEP_UNKNOWN'
      ? 'half applied'
      : 'failed';
  }
}

function outcomeOf(error: AppError | null, migrations: number): MigrationLog['outcome'] {
  if (error?.code === 'DATA_MIGRATION_REQUIRED') return 'stopped';
  if (error !== null) return error.code === 'JOB_CANCELLED' ? 'cancelled' : 'failed';
  return migrations === 0 ? 'nothing to do' : 'succeeded';
}
