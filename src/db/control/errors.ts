import { Prisma } from './generated/client.ts';

/** P2002, or PostgreSQL's 23505 for an index that Prisma's schema does not know. */
export function isUniqueViolation(error: unknown): boolean {
  if (error instanceof Prisma.PrismaClientKnownRequestError && error.code === 'P2002') return true;
  return error instanceof Error && /23505|job_exclusive_key|Unique constraint failed/.test(error.message);
}
