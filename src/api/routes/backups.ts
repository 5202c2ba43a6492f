import type { Backup, Job } from '../../db/control/generated/client.ts';
import { enqueue } from '../../jobs/enqueue.ts';
import { backup as kind } from '../../jobs/kinds/backup.ts';
import { databaseFor } from '../authentication.ts';
import { defineRecordRoutes } from '../define-record-routes.ts';
import { recordQuery } from '../paging.ts';
import { backup, backupRequest } from '../schemas/backup.ts';
import { jobSummaryView } from '../views.ts';

export const backups = defineRecordRoutes({
  name: 'backups',
  singular: 'backup',
  summary: 'Back a database up, and read the backup back whole',
  body: backupRequest,
  record: backup,
  notFound: 'BACKUP_NOT_FOUND',
  async submit(deps, caller, { database }) {
    databaseFor(caller, deps.config, database);
    return enqueue(deps, { kind, database, payload: {}, requestedBy: caller.name });
  },
  async list({ control }, caller, request) {
    const found = await control.prisma.backup.findMany({
      ...recordQuery(caller, request),
      include: { job: true },
    });
    return found.map(view);
  },
  async find({ control }, id) {
    const found = await control.prisma.backup.findUnique({ where: { id }, include: { job: true } });
    return found && view(found);
  },
});

const states = backup.shape.state;
const storedError = backup.shape.error;

function view(row: Backup & { job: Job | null }) {
  return {
    ...row,
    state: states.parse(row.state),
    // JSON has no bigint; sizes stay below 2^53.
    bytes: row.bytes === null ? null : Number(row.bytes),
    error: storedError.parse(row.error),
    job: row.job && jobSummaryView(row.job),
  };
}
