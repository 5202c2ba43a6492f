import type { Job, Validation } from '../../db/control/generated/client.ts';
import { enqueue } from '../../jobs/enqueue.ts';
import { validation as kind, validationPayload } from '../../jobs/kinds/validation.ts';
import { databaseFor, maySee } from '../authentication.ts';
import { defineRecordRoutes } from '../define-record-routes.ts';
import { recordQuery } from '../paging.ts';
import { validation, validationRequest } from '../schemas/validation.ts';
import { jobSummaryView } from '../views.ts';

export const validations = defineRecordRoutes({
  name: 'validations',
  singular: 'validation',
  summary: 'Compare two tables in full, each of any registered database',
  body: validationRequest,
  record: validation,
  notFound: 'VALIDATION_NOT_FOUND',
  async submit(deps, caller, payload) {
    databaseFor(caller, deps.config, payload.source.database);
    const database = databaseFor(caller, deps.config, payload.target.database).name;
    return enqueue(deps, { kind, database, payload, requestedBy: caller.name });
  },
  async list({ control }, caller, request) {
    const { where, ...page } = recordQuery(caller, request);
    // Rows of the source may stand in the outcome as well.
    const seen = caller.databases === null ? {} : { sourceDatabase: { in: [...caller.databases] } };
    const found = await control.prisma.validation.findMany({
      ...page,
      where: { AND: [where, seen] },
      omit: { outcome: true },
      include: { job: true },
    });
    return found.map(view);
  },
  async find({ control }, id, caller) {
    const found = await control.prisma.validation.findUnique({ where: { id }, include: { job: true } });
    return found !== null && maySee(caller, found.sourceDatabase) ? view(found) : null;
  },
});

const outcome = validation.shape.outcome;

const view = ({ job, ...row }: Omit<Validation, 'outcome'> & { outcome?: unknown; job: Job }) => ({
  ...row,
  request: validationPayload.parse(job.payload),
  outcome: outcome.parse(row.outcome),
  job: jobSummaryView(job),
});
