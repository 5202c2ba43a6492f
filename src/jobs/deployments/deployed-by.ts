import type { Control } from '../../db/control/control.ts';
import { AppError } from '../../errors.ts';

/**
 * Names of the migrations that a deployment applied and no later one has applied again.
 * @throws AppError `DEPLOYMENT_NOT_FOUND`, `MIGRATION_NOT_APPLIED` where it ended without a report
 */
export async function deployedBy({ prisma }: Control, database: string, id: string): Promise<string[]> {
  const found = await prisma.deployment.findUnique({ where: { id }, select: { database: true } });
  if (found?.database !== database)
    throw new AppError('DEPLOYMENT_NOT_FOUND', `There is no deployment ${id} of ${database}.`, {
      deployment: id,
    });
  const rows = await prisma.$queryRaw<{ reported: boolean; own: string[]; later: string[] }[]>`
    with applied as (
      select d.id, logged->>'name' as name
        from deployment d, jsonb_array_elements(d.report->'migrations') as logged
       where d.database = ${database} and d.id >= ${id}::uuid and logged->>'outcome' = 'applied')
    select exists (select from deployment where id = ${id}::uuid and report is not null) as reported,
           coalesce((select array_agg(name) from applied where id = ${id}::uuid), '{}') as own,
           coalesce((select array_agg(name) from applied where id > ${id}::uuid), '{}') as later`;
  const { reported = false, own = [], later = [] } = rows[0] ?? {};
  if (!reported)
    throw new AppError(
      'MIGRATION_NOT_APPLIED',
      `Deployment ${id} ended without a report, so that it is not known what it applied. Nothing was done. Ask for a number of migrations instead, or for all after one.`,
      { deployment: id },
    );
  const again = own.filter((name) => later.includes(name));
  if (again.length > 0)
    throw new AppError(
      'MIGRATION_NOT_APPLIED',
      `What deployment ${id} applied was rolled back and applied again since: ${again.join(', ')}. Nothing was done. Name the deployment that did it.`,
      { deployment: id, migrations: again },
    );
  return own;
}
