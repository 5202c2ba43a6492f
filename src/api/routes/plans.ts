import { AppError } from '../../errors.ts';
import { planDatabase } from '../../jobs/deployments/inspect.ts';
import type { App } from '../app.ts';
import { type Caller, callerOf, databaseFor, maySee } from '../authentication.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { recordQuery, toPage } from '../paging.ts';
import { idParameter } from '../schemas/job.ts';
import { type PlanView, plan, planBody, planPage, planQuery, planRequest } from '../schemas/plan.ts';

const tags = ['plans'];

export function plans(app: App, deps: ApiDependencies): void {
  const { config, control } = deps;

  app.route({
    method: 'POST',
    url: '/api/plans',
    config: { access: 'operate', idempotent: true },
    schema: {
      tags,
      operationId: 'createPlan',
      summary: 'A dry run: what a deployment would do now',
      body: planRequest,
      response: { 201: plan },
    },
    handler: async (request, reply) => {
      const caller = callerOf(request);
      const { database, bundle, allow } = request.body;
      databaseFor(caller, config, database);
      const made = await planDatabase(deps, database, { bundleId: bundle, allow, requestedBy: caller.name });
      reply.code(201).header('location', `/api/plans/${made.id}`);
      return find(caller, made.id);
    },
  });

  app.route({
    method: 'GET',
    url: '/api/plans',
    config: { access: 'read' },
    schema: {
      tags,
      operationId: 'listPlans',
      summary: 'List plans, newest first, without their steps',
      querystring: planQuery,
      response: { 200: planPage },
    },
    handler: async (request) => {
      const query = recordQuery(callerOf(request), request.query);
      const found = await control.prisma.plan.findMany({ ...query, omit: { body: true } });
      return toPage(found, request.query.limit, (item) => item.id);
    },
  });

  app.route({
    method: 'GET',
    url: '/api/plans/:id',
    config: { access: 'read' },
    schema: {
      tags,
      operationId: 'getPlan',
      summary: 'Read a plan',
      params: idParameter,
      response: { 200: plan },
    },
    handler: (request) => find(callerOf(request), request.params.id),
  });

  /** @throws AppError `PLAN_NOT_FOUND` */
  async function find(caller: Caller, id: string): Promise<PlanView> {
    const found = await control.prisma.plan.findUnique({ where: { id } });
    if (found === null || !maySee(caller, found.database))
      throw new AppError('PLAN_NOT_FOUND', `There is no plan ${id}.`, { id });
    return { ...found, body: planBody.parse(found.body) };
  }
}
