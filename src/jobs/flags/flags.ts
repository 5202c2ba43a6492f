/** Feature flags: switches of the application that a data migration, or a phase of a deployment, turns on. */
import { v7 as newId } from 'uuid';
import type { Control, ControlTransaction } from '../../db/control/control.ts';
import type { Flag } from '../../db/control/generated/client.ts';
import { AppError } from '../../errors.ts';

export type { Flag };

export type FlagState = 'on' | 'off';

export interface FlagOwner {
  readonly kind: 'data migration' | 'phase';
  /** Its name, or the id of its record. */
  readonly name: string;
}

export interface FlagPlace {
  /** Name of the registered database. */
  readonly database: string;
  readonly key: string;
}

/** Why a flag changes, and who wants it: the name of a token. Both stand in its record. */
export interface FlagChangeRequest extends FlagPlace {
  readonly reason: string;
  readonly by: string;
}

export type OwnedChange = FlagChangeRequest & { readonly owner: FlagOwner };

/**
 * Makes a flag known, off, when its owner is accepted: from then on the application reads `off` instead of its own
 * default. One that its owner has already is left as it is.
 * @throws AppError `FLAG_TAKEN`
 */
export const declareFlag = (transaction: ControlTransaction, request: OwnedChange): Promise<Flag> =>
  write(transaction, request, null);

/** When the validation has passed. On already: nothing is written. @throws AppError `FLAG_TAKEN` */
export const turnOn = (transaction: ControlTransaction, request: OwnedChange): Promise<Flag> =>
  write(transaction, request, 'on');

/** When what it waits for is rolled back. Off already: nothing is written. @throws AppError `FLAG_TAKEN` */
export const turnOff = (transaction: ControlTransaction, request: OwnedChange): Promise<Flag> =>
  write(transaction, request, 'off');

/** By hand, whoever owns the flag. @throws AppError `FLAG_NOT_FOUND` */
export const setFlag = (control: Control, request: FlagChangeRequest, state: FlagState): Promise<Flag> =>
  control.prisma.$transaction(async (transaction) => {
    const flag = await lockedFlag(transaction, request);
    if (flag === null) throw flagNotFound(request);
    return flag.state === state ? flag : change(transaction, flag, request, state);
  });

export const flagNotFound = ({ database, key }: FlagPlace): AppError =>
  new AppError(
    'FLAG_NOT_FOUND',
    `${database} has no flag "${key}". Nothing was changed. A flag is made by the data migration or the phase that owns it; GET /api/flags lists all.`,
    { database, key },
  );

/** @param state null: the one that it has, or off */
async function write(
  transaction: ControlTransaction,
  request: OwnedChange,
  state: FlagState | null,
): Promise<Flag> {
  const flag = await lockedFlag(transaction, request);
  if (flag === null) return create(transaction, request, state ?? 'off');
  const { kind, name } = request.owner;
  if (flag.ownerKind !== kind || flag.owner !== name)
    throw new AppError(
      'FLAG_TAKEN',
      `The flag "${flag.key}" of ${flag.database} belongs to the ${flag.ownerKind} ${flag.owner}. It was not changed: give the ${kind} ${name} a flag of its own.`,
      { database: flag.database, key: flag.key, owner: flag.owner },
    );
  return state === null || flag.state === state ? flag : change(transaction, flag, request, state);
}

/** Excludes other writers until the transaction ends: who reads changes by their numbers must not miss one. */
async function lockedFlag(
  transaction: ControlTransaction,
  { database, key }: FlagPlace,
): Promise<Flag | null> {
  await transaction.$executeRaw`lock table flag_change in share row exclusive mode`;
  return transaction.flag.findUnique({ where: { key_database: { key, database } } });
}

async function create(
  transaction: ControlTransaction,
  { database, key, owner, reason, by }: OwnedChange,
  state: FlagState,
): Promise<Flag> {
  const flag = await transaction.flag.create({
    data: {
      id: newId(),
      database,
      key,
      ownerKind: owner.kind,
      owner: owner.name,
      state,
      reason,
      changedBy: by,
    },
  });
  await record(transaction, flag);
  return flag;
}

async function change(
  transaction: ControlTransaction,
  { id }: Flag,
  { reason, by }: FlagChangeRequest,
  state: FlagState,
): Promise<Flag> {
  // By the database's clock: those of the processes may differ.
  await transaction.$executeRaw`update flag set changed_at = now() where id = ${id}::uuid`;
  const flag = await transaction.flag.update({ where: { id }, data: { state, reason, changedBy: by } });
  await record(transaction, flag);
  return flag;
}

async function record(transaction: ControlTransaction, flag: Flag): Promise<void> {
  const { id: flagId, database, key, state, reason, changedBy: by } = flag;
  await transaction.flagChange.create({ data: { flagId, database, key, state, reason, by } });
  await transaction.$executeRaw`select pg_notify('switchback_flag', ${flag.id})`;
}
