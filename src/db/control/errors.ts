import { Prisma } from './generated/client.ts';

/** Whether `job_exclusive_key` refused a job: another exclusive one of its database is queued or running. */
export const isExclusion = (error: unknown): boolean =>
  error instanceof Prisma.PrismaClientKnownRequestError && error.message.includes('"job_exclusive_key"');
