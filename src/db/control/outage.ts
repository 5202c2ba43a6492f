import { AppError } from '../../errors.ts';
import { Prisma } from './generated/client.ts';

/** P1…: connecting; P2024: no connection in time; P2028: a transaction that could not begin or go on. */
const codes = /^(P1\d{3}|P2024|P2028)$/;
/** The driver's own errors, and PostgreSQL's 57P01 to 57P03, pass through Prisma as they are. */
const messages =
  /Connection terminated|terminating connection|the database system is (starting up|shutting down|in recovery)|ECONN(REFUSED|RESET)/;

/** An error of the control database's client: `CONTROL_DATABASE_UNREACHABLE` where it tells of an outage, else as it is. */
export function outageOf(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof AppError) return error;
  const coded = error instanceof Prisma.PrismaClientKnownRequestError && codes.test(error.code);
  if (!coded && !messages.test(error.message)) return error;
  return new AppError(
    'CONTROL_DATABASE_UNREACHABLE',
    'The control database cannot be reached. Ask again when it is back.',
    {},
    { cause: error },
  );
}
