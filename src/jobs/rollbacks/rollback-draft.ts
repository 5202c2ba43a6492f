import type { Allowance, DatabaseConfig } from '../../config.ts';
import type { Control } from '../../db/control/control.ts';
import { toJson } from '../../db/control/job-rows.ts';
import { AppError, toAppError } from '../../errors.ts';
import type { ProbeOutcome } from '../../health/probe.ts';
import type { ApplyEvent } from '../../migrations/apply-event.ts';
import type { PreflightCheck } from '../../migrations/preflight.ts';
import { type LoggedReversal, type RollbackLog, rollbackToMarkdown } from '../../migrations/rollback-log.ts';
import type { ReversalOutcome } from '../../migrations/take-back.ts';
import type { VerificationCheck } from '../../migrations/verify.ts';
import { tellsMore } from '../aborts.ts';
import type { RunningJob } from '../define-job.ts';
import type { BackupFirst } from '../deployments/back-up-first.ts';
import type { PlannedReversal, RollbackPlan } from './plan-rollback.ts';

/** Gathers what a rollback does, for its log: there is one also of a rollback that failed half-way. */
export class RollbackDraft {
  readonly allowances: readonly Allowance[];
  preflight: readonly PreflightCheck[] = [];
  verification: readonly VerificationCheck[] = [];
  probes: readonly ProbeOutcome[] = [];
  backup: BackupFirst = { none: 'The rollback ended before its backup.' };
  plan: RollbackPlan | null = null;
  /** The deployment that is taken back, where one was named or failed. */
  deployment: string | null = null;
  readonly #job: RunningJob;
  readonly #database: DatabaseConfig;
  readonly #startedAt = new Date();
  readonly #timings: { step: string; durationMs: number }[] = [];
  readonly #outcomes = new Map<string, ReversalOutcome>();
  readonly #started = new Set<string>();
  #takenBack: ReadonlySet<string> = new Set();
  /** What earlier attempts have told. */
  #earlier: ReadonlyMap<string, LoggedReversal> = new Map();

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

  saw(event: ApplyEvent): void {
    if (event.type === 'migration started') this.#started.add(event.migration);
    if (event.type === 'migration applied')
      this.#outcomes.set(event.outcome.name, event.outcome as ReversalOutcome);
  }

  /** What the history says is taken back. */
  confirm(names: readonly string[]): void {
    this.#takenBack = new Set(names);
  }

  /** In the order in which they were. */
  rolledBack(): string[] {
    const { migrations = [] } = this.plan ?? {};
    return migrations
      .map(({ name }) => name)
      .filter((name) => this.#outcomes.has(name) || this.#takenBack.has(name));
  }

  backupId(): string | null {
    return 'id' in this.backup ? this.backup.id : null;
  }

  /** Takes over what earlier attempts of the job have told. */
  async recall(control: Control): Promise<void> {
    const found = await control.prisma.rollback.findUnique({
      where: { jobId: this.#job.id },
      select: { report: true },
    });
    const report = found?.report as unknown as RollbackLog | null | undefined;
    this.#earlier = new Map(
      (report?.migrations ?? [])
        .filter(({ outcome }) => outcome === 'rolled back')
        .map((one) => [one.name, one]),
    );
  }

  /** Keeps plan and log with the record; also between two migrations, so that a successor can tell the whole. */
  async store(control: Control, error: AppError | null): Promise<RollbackLog> {
    const log = this.#toLog(error);
    await control.prisma.rollback.update({
      where: { jobId: this.#job.id },
      data: {
        ...(this.plan === null ? {} : { plan: toJson(this.plan) }),
        ...(this.deployment === null ? {} : { deploymentId: this.deployment }),
        backupId: this.backupId(),
        report: toJson({ ...log, markdown: rollbackToMarkdown(log) }),
      },
    });
    return log;
  }

  #toLog(error: AppError | null): RollbackLog {
    const { migrations = [], faults = [], cause = null } = this.plan ?? {};
    const names = migrations.map(({ name }) => name);
    return {
      rollback: this.#job.id,
      deployment: this.deployment,
      database: this.#database.name,
      environment: this.#database.environment,
      requestedBy: this.#job.requestedBy,
      startedAt: this.#startedAt.toISOString(),
      finishedAt: new Date().toISOString(),
      outcome: outcomeOf(error, names.length),
      purpose:
        names.length === 0
          ? 'Nothing was to be rolled back.'
          : `Rolls back ${names.length} migration(s): ${names.join(', ')}.${cause === null ? '' : ' The deployment that applied them failed.'}`,
      cause,
      migrations: migrations.map((one) => this.#logOne(one, error)),
      warnings: faults.filter(({ severity, allowed }) => severity === 'warn' || allowed !== undefined),
      allowances: this.allowances,
      forward:
        'To Prisma these migrations are pending again. A deployment stops at them (MIGRATION_ROLLED_BACK) until their text has changed or they are allowed by name; with "restore": true it puts back what this rollback removed, as long as the vault keeps it.',
      backup: this.backup,
      preflight: this.preflight,
      verification: this.verification,
      probes: this.probes,
      timings: this.#timings,
      error: error?.toRecord() ?? null,
    };
  }

  #logOne(planned: PlannedReversal, error: AppError | null): LoggedReversal {
    const { name, source, outcome: proof, provenOn, reasons, segments } = planned;
    const earlier = this.#earlier.get(name);
    const outcome = this.#outcomes.get(name);
    if (outcome === undefined && earlier !== undefined) return earlier;
    const steps = segments.flatMap((segment) => segment.steps).filter(({ restores }) => !restores);
    return {
      name,
      outcome: this.rolledBack().includes(name) ? 'rolled back' : this.#unfinished(name, error),
      wayBack: { source, outcome: proof, provenOn, reasons },
      statements: steps.map(({ summary, line }) => ({ summary, line })),
      segments: outcome?.segments ?? segments.length,
      tries: outcome?.tries ?? 1,
      durationMs: outcome?.durationMs ?? null,
      locks: outcome?.locks ?? [],
      notices: [...(outcome?.notices ?? []), ...(outcome?.remarks ?? [])],
      restored: outcome?.restored ?? [],
      leftNullable: outcome?.leftNullable ?? [],
      leftUnvalidated: outcome?.leftUnvalidated ?? [],
      leftOut: outcome?.leftOut ?? [],
      kept: outcome?.kept ?? [],
      unkept: outcome?.unkept ?? [],
    };
  }

  #unfinished(name: string, error: AppError | null): LoggedReversal['outcome'] {
    if (!this.#started.has(name)) return 'not started';
    return error?.code === 'ROLLBACK_UNFINISHED' || error?.code === 'STEP_UNKNOWN' ? 'half done' : 'failed';
  }
}

function outcomeOf(error: AppError | null, migrations: number): RollbackLog['outcome'] {
  if (error !== null) return error.code === 'JOB_CANCELLED' ? 'cancelled' : 'failed';
  return migrations === 0 ? 'nothing to do' : 'succeeded';
}

/** The error with what was rolled back before it: whoever hears of it has to know. */
export function withRolledBack(
  thrown: unknown,
  signal: AbortSignal,
  rolledBack: readonly string[],
): AppError {
  const error = toAppError(thrown);
  const reason: unknown = signal.reason;
  const aborted = signal.aborted && reason instanceof AppError && !tellsMore.has(error.code);
  const told = aborted && reason.code !== error.code ? reason : error;
  if (rolledBack.length === 0) return told;
  return new AppError(
    told.code,
    `${told.message} Rolled back: ${rolledBack.join(', ')}.`,
    { ...told.details, rolledBack },
    { cause: thrown },
  );
}
