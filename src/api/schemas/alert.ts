import { z } from 'zod';
import { pageOf, pageQuery } from '../paging.ts';
import { databaseName } from './job.ts';

const delivery = z
  .object({
    id: z.uuid(),
    sink: z.string(),
    jobId: z.uuid(),
    deliveredAt: z.date().nullable().describe('Null until the sink has taken it'),
  })
  .meta({ id: 'Delivery' });

export const alert = z
  .object({
    id: z.uuid(),
    condition: z.string(),
    severity: z.string(),
    database: z.string().nullable(),
    jobId: z.uuid().nullable(),
    title: z.string(),
    body: z.unknown(),
    createdAt: z.date(),
    deliveries: z.array(delivery),
  })
  .meta({ id: 'Alert' });

export const alertPage = pageOf(alert, 'AlertPage');
export const alertQuery = z.strictObject({ ...pageQuery, database: databaseName.optional() });
export const testAlertRequest = z.strictObject({}).meta({ id: 'TestAlertRequest' });

export const deliveryJobs = z
  .object({ jobs: z.array(z.uuid()).describe('The jobs that deliver, one for each sink') })
  .meta({ id: 'DeliveryJobs' });
