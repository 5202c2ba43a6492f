import { PrismaPg } from '@prisma/adapter-pg';
import { AppError } from '../../errors.ts';
import { parseTarget, poolConfig, type Target } from '../target.ts';
import { type Prisma, PrismaClient } from './generated/client.ts';
import { type Listener, openListener } from './listen.ts';

/** A transaction of the control database. */
export type ControlTransaction = Prisma.TransactionClient;

/** The control database: where Switchback's own tables live. */
export interface Control {
  readonly target: Target;
  readonly prisma: PrismaClient;
  /** Notifications of the control database, over one connection of their own. */
  readonly listener: Listener;
  close(): Promise<void>;
}

const maxConnections = 10;
/** Nothing here takes long: a connection that does not answer is a dead one, which TCP would find out only later. */
const answerWithinMs = 60_000;
/** Under load a transaction waits for its connection; Prisma would give up after 2 s. */
const transactionOptions = { maxWait: 10_000, timeout: 20_000 };

/**
 * Opens the control database, whose tables `prepareControl` has made.
 * @throws AppError `CONTROL_DATABASE_UNREACHABLE`
 */
export async function openControl(url: string): Promise<Control> {
  const target = parseTarget(url);
  const adapter = new PrismaPg(
    {
      ...poolConfig(target),
      max: maxConnections,
      query_timeout: answerWithinMs,
      application_name: 'switchback:control',
      options: `-c search_path=${target.schema}`,
    },
    { schema: target.schema },
  );
  const prisma = new PrismaClient({ adapter, errorFormat: 'minimal', transactionOptions });
  const listener = openListener(target);
  const close = async (): Promise<void> => {
    await listener.close();
    await prisma.$disconnect();
  };
  try {
    await prisma.$queryRaw`select 1`;
    return { target, prisma, listener, close };
  } catch (error) {
    await close();
    throw new AppError(
      'CONTROL_DATABASE_UNREACHABLE',
      `The control database ${target.display} cannot be reached. Check SWITCHBACK_DATABASE_URL.`,
      {},
      { cause: error },
    );
  }
}
