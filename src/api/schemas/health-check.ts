import { z } from 'zod';
import { recordFields } from './record.ts';

export const healthCheckRequest = z.strictObject({}).meta({ id: 'HealthCheckRequest' });

export const healthCheck = z
  .object({
    ...recordFields,
    database: z.null().describe('A health check concerns all databases'),
    outcome: z.unknown(),
    finishedAt: z.date().nullable(),
  })
  .meta({ id: 'HealthCheck' });
