import type { Condition } from '../define-condition.ts';
import { backupFailed } from './backup-failed.ts';
import { jobFailed } from './job-failed.ts';
import { jobOverdue } from './job-overdue.ts';
import { rollbackExecuted } from './rollback-executed.ts';

export const conditions: readonly Condition[] = [backupFailed, jobFailed, jobOverdue, rollbackExecuted];
