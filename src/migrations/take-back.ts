import { createHash } from 'node:crypto';
import { schemaFrom } from '../analysis/schema/from-catalogue.ts';
import type { Schema } from '../analysis/schema/schema.ts';
import { readCatalogue } from '../db/catalogue.ts';
import type { Session } from '../db/session.ts';
import { AppError } from '../errors.ts';
import { SyntaxFault } from '../sql/parse.ts';
import { readAllEntries } from '../vault/list.ts';
import type { LeftOut, LeftUnvalidated } from './add-constraint.ts';
import { allow, refuseFaults } from './fault.ts';
import { type History, type HistoryRow, readHistory } from './history.ts';
import { rollbackUnderWay } from './journal.ts';
import type { Keeping } from './keeping.ts';
import { back } from './ledger.ts';
import type { MigrationOutcome } from './migration-run.ts';
import type { PlannedMigration } from './plan.ts';
import { dropsLocks, planStatements, unkept } from './plan-migration.ts';
import { readRemovals } from './removals.ts';
import { type LeftNullable, Restorer } from './restorer.ts';
import { madeIn, type ReversalText, readReversal } from './reversal-text.ts';
import { runOne } from './run-one.ts';
import { type LockRequest, refuseLostLock, withLocks } from './with-locks.ts';

/** The way back of one migration. */
export interface Reversal {
  readonly name: string;
  /** The history's row that is taken back. */
  readonly historyId: string;
  /** Of the migration, as it stands in the history. */
  readonly checksum: string;
  /** The rollback's text, with or without the marker at which data is put back. */
  readonly sql: string;
  /** Ids of the vault's entries that are put back, see `savedEntries`. */
  readonly entries: readonly string[];
}

export interface TakeBackRequest extends LockRequest {
  readonly lockTimeoutMs: number;
  /** In the order in which they run: the migration that was applied last comes first. */
  readonly reversals: readonly Reversal[];
  /** How what the rollback removes is kept; null keeps nothing. */
  readonly vault: Keeping | null;
  /** An earlier attempt may have taken back the first ones: these are passed over. */
  readonly resumes?: boolean;
}

export interface ReversalOutcome extends MigrationOutcome {
  readonly leftNullable: readonly LeftNullable[];
  readonly leftUnvalidated: readonly LeftUnvalidated[];
  readonly leftOut: readonly LeftOut[];
}

/**
 * Takes migrations back, one after the other, under the locks and with the discipline of a deployment. What the vault
 * keeps of a migration comes back in the transaction in which its place in the text is reached; what the rollback
 * removes is kept in turn.
 * @throws AppError `MIGRATION_NOT_APPLIED`, `MIGRATION_UNPARSABLE`, `RESUME_REFUSED`, `ROLLBACK_UNFINISHED`,
 * `LOCK_TIMEOUT`, `ROLLBACK_DUPLICATES`, `ROLLBACK_PARTITION_TAKEN`, `VAULT_FULL`, `VAULT_CANNOT_KEEP`, and those of the statements; what was taken back before stays so
 */
export async function takeBack(request: TakeBackRequest): Promise<ReversalOutcome[]> {
  const texts = new Map(request.reversals.map((reversal) => [reversal.historyId, parsed(reversal)]));
  return withLocks(request, async (session, lockSession) => {
    const history = await readHistory(session, request.target.schema);
    const open = request.reversals.filter(
      ({ historyId }) => request.resumes !== true || !isTakenBack(rowOf(history, historyId)),
    );
    for (const reversal of open) refuseNotApplied(reversal, rowOf(history, reversal.historyId));
    const schema =
      request.vault === null
        ? null
        : schemaFrom(await readCatalogue(session), { defaultSchema: request.target.schema });
    const planned = open.map((reversal, index) => ({
      reversal,
      text: texts.get(reversal.historyId) ?? parsed(reversal),
      takingBack: rowOf(history, reversal.historyId)?.takingBack === true,
      number: index,
    }));
    const plans = planned.map((one) => ({ ...one, migration: plan(one, schema, request.vault) }));
    const outcomes: ReversalOutcome[] = [];
    for (const [index, one] of plans.entries()) {
      request.signal.throwIfAborted();
      refuseLostLock(lockSession);
      const { name } = one.reversal;
      request.report({ type: 'migration started', migration: name, index: index + 1, of: plans.length });
      outcomes.push(await takeBackOne(request, session, lockSession, one));
      request.report({ type: 'migration applied', outcome: outcomes[index] as ReversalOutcome });
    }
    return outcomes;
  });
}

const rowOf = (history: History, id: string): HistoryRow | undefined =>
  history.rows.find((row) => row.id === id);

const isTakenBack = (row: HistoryRow | undefined): boolean => row !== undefined && row.rolledBackAt !== null;

function refuseNotApplied({ name, checksum }: Reversal, row: HistoryRow | undefined): void {
  const applied =
    row !== undefined && row.rolledBackAt === null && (row.finishedAt !== null || row.takingBack);
  if (applied && row.name === name && row.checksum === checksum) return;
  throw new AppError(
    'MIGRATION_NOT_APPLIED',
    `${name} is not applied as it was when the rollback was planned: ${
      row === undefined
        ? 'its row is gone from the history'
        : row.name !== name || row.checksum !== checksum
          ? 'its row in the history is of another text'
          : isTakenBack(row)
            ? `it was taken back on ${row.rolledBackAt?.toISOString()}`
            : 'it failed and is not resolved'
    }. Nothing was done. Look at the database's migrations, then ask for the rollback again.`,
    { migration: name },
  );
}

/** @throws AppError `MIGRATION_UNPARSABLE` */
function parsed({ name, sql }: Reversal): ReversalText {
  try {
    return readReversal(sql);
  } catch (error) {
    if (!(error instanceof SyntaxFault)) throw error;
    throw new AppError(
      'MIGRATION_UNPARSABLE',
      `The rollback of ${name} does not parse: ${error.message}. Nothing was done. Mend its rollback.sql.`,
      { migration: name },
      { cause: error },
    );
  }
}

interface Planned {
  readonly reversal: Reversal;
  readonly text: ReversalText;
  readonly takingBack: boolean;
  readonly number: number;
}

/** @throws AppError `MIGRATION_DROPS_LOCKS`, `VAULT_CANNOT_KEEP` */
function plan(
  { reversal, text, takingBack, number }: Planned,
  schema: Schema | null,
  vault: Keeping | null,
): PlannedMigration {
  const { name, checksum, historyId } = reversal;
  const { statements } = text;
  const { removals, namings } =
    schema === null ? { removals: [], namings: [] } : readRemovals(statements, schema, number);
  const body = planStatements(statements, removals, namings);
  const faults = [...dropsLocks(name, statements), ...unkept(name, body.segments)];
  refuseFaults(allow(faults, vault?.allow ?? []));
  return { ...body, name, checksum, resumes: takingBack ? historyId : null, keeps: null };
}

async function takeBackOne(
  request: TakeBackRequest,
  session: Session,
  lockSession: Session,
  { reversal, text, migration }: Planned & { readonly migration: PlannedMigration },
): Promise<ReversalOutcome> {
  const { name, checksum, historyId, sql } = reversal;
  const sha256 = createHash('sha256').update(sql).digest('hex');
  if (migration.resumes !== null) await refuseOtherText(session, reversal, sha256);
  const entries = await readAllEntries(session, reversal.entries);
  const restorer = new Restorer({
    session,
    entries,
    made: madeIn(text, entries),
    early: text.early,
    place: text.place,
    namings: migration.namings,
    notNull: text.notNull,
    renamed: text.renamed,
    partitions: text.partitions,
    identities: text.identities,
    constraints: text.constraints,
    withoutKeys: request.vault?.allow.find(
      (one) => one.code === 'ROLLBACK_DUPLICATES' && (one.migration ?? name) === name,
    ),
    own:
      request.vault === null
        ? null
        : { operation: request.vault.operation, migration: name, direction: 'back' },
  });
  const outcome = await runOne(
    { ...request, session, lockSession },
    {
      migration,
      text: sql,
      ledger: back(request.target.schema, { id: historyId, name, checksum }, sha256),
      instead: (step) => restorer.instead(step),
      fresh: false,
    },
  );
  if (migration.resumes !== null) await restorer.lookAgain();
  const { restored, leftNullable, leftUnvalidated, leftOut } = restorer;
  return { ...outcome, restored, leftNullable, leftUnvalidated, leftOut };
}

/** The journal counts statements: of another text they are others. */
async function refuseOtherText(
  session: Session,
  { name, historyId }: Reversal,
  sha256: string,
): Promise<void> {
  const begun = await rollbackUnderWay(session, historyId);
  if (begun === null || begun === sha256) return;
  throw new AppError(
    'RESUME_REFUSED',
    `The rollback of ${name} is half done, with another text than this one. Nothing was done. Roll back with the text that was begun, or complete it by hand and POST /api/recoveries with "resolveRolledBack".`,
    { migration: name },
  );
}
