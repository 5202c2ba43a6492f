import type { SSEMessage } from '@fastify/sse';
import type { FastifyRequest } from 'fastify';
import { AppError } from '../../errors.ts';
import type { StoredEvent } from '../../jobs/events.ts';
import { cancelJob, waitForJob } from '../../jobs/jobs.ts';
import type { App } from '../app.ts';
import { callerOf, maySee } from '../authentication.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { streamEvents } from '../event-stream.ts';
import { failureOf } from '../job-outcome.ts';
import { recordQuery, toPage } from '../paging.ts';
import { sendProblem } from '../problem.ts';
import * as schemas from '../schemas/job.ts';
import { jobView } from '../views.ts';

const tags = ['jobs'];

export function jobs(app: App, { control }: ApiDependencies): void {
  /** A job that the caller may see. @throws AppError `JOB_NOT_FOUND` */
  async function find(request: FastifyRequest, id: string): Promise<schemas.JobView> {
    const job = await control.prisma.job.findUnique({ where: { id } });
    if (job === null || !maySee(callerOf(request), job.database))
      throw new AppError('JOB_NOT_FOUND', `There is no job ${id}.`, { job: id });
    return jobView(job);
  }

  app.route({
    method: 'GET',
    url: '/api/jobs',
    config: { access: 'read' },
    schema: {
      tags,
      operationId: 'listJobs',
      summary: 'List jobs, newest first',
      querystring: schemas.jobQuery,
      response: { 200: schemas.jobPage },
    },
    handler: async (request) => {
      const { kind, state, ...query } = request.query;
      const { where, ...page } = recordQuery(callerOf(request), query);
      const found = await control.prisma.job.findMany({ ...page, where: { ...where, kind, state } });
      return toPage(found.map(jobView), query.limit, (job) => job.id);
    },
  });

  app.route({
    method: 'GET',
    url: '/api/jobs/:id',
    config: { access: 'read' },
    schema: {
      tags,
      operationId: 'getJob',
      summary: 'Read a job: its state, progress, and result or error',
      params: schemas.idParameter,
      response: { 200: schemas.job },
    },
    handler: (request) => find(request, request.params.id),
  });

  app.route({
    method: 'GET',
    url: '/api/jobs/:id/events',
    config: { access: 'read' },
    // Whoever asks here gets a stream, whatever their Accept header says; errors before it are problems.
    sse: 'manual',
    schema: {
      tags,
      operationId: 'streamJobEvents',
      summary: "Follow a job's events (Server-Sent Events), from the first or from the last one known",
      params: schemas.idParameter,
      querystring: schemas.eventQuery,
      headers: schemas.eventHeaders,
      response: {
        200: { description: 'Events', content: { 'text/event-stream': { schema: schemas.jobEvent } } },
      },
    },
    handler: async (request, reply) => {
      const { id } = await find(request, request.params.id);
      const last = request.headers['last-event-id'];
      const after = last === undefined ? request.query.after : Number(last);
      await streamEvents(reply, app.closing, (signal) => messages(app.tails.tail(id, after, signal)));
    },
  });

  app.route({
    method: 'POST',
    url: '/api/jobs/:id/cancel',
    config: { access: 'operate' },
    schema: {
      tags,
      operationId: 'cancelJob',
      summary: 'Ask a job to stop; its running statement is cancelled',
      params: schemas.idParameter,
      response: { 202: schemas.job },
    },
    handler: async (request, reply) => {
      const { id } = await find(request, request.params.id);
      reply.code(202);
      return jobView(await cancelJob(control, id, callerOf(request).name));
    },
  });

  app.route({
    method: 'GET',
    url: '/api/jobs/:id/result',
    config: { access: 'read' },
    schema: {
      tags,
      operationId: 'getJobResult',
      summary: "Wait for a job's end; made for `curl -f --retry`",
      description:
        'Answers 200 when the job has succeeded, and 504 with Retry-After when the wait is over before the job is. ' +
        "Else the job's own error, as 424 where its status would be one that `curl --retry` tries again.",
      params: schemas.idParameter,
      querystring: schemas.resultQuery,
      response: { 200: schemas.jobResult },
    },
    handler: async (request, reply) => {
      const { id } = await find(request, request.params.id);
      const signal = AbortSignal.any([app.closing, request.signal]);
      const waiting = { seconds: request.query.wait, signal };
      const job = jobView(await waitForJob({ control, tails: app.tails }, id, waiting));
      if (job.state === 'succeeded') return { job, result: job.result };
      const { error, status } = failureOf(job);
      return sendProblem(error, request, reply, status);
    },
  });
}

async function* messages(events: AsyncIterable<StoredEvent>): AsyncGenerator<SSEMessage> {
  for await (const event of events) yield { id: String(event.number), event: event.type, data: event };
}
