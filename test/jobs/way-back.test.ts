/** Which of the ways back that the control database keeps is the one that counts. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Control, openControl } from '../../src/db/control/control.ts';
import {
  newestWayBack,
  newestWaysBack,
  provenWayBack,
  storeWayBack,
  type WayBack,
  type WayBackOutcome,
} from '../../src/jobs/rollbacks/way-back.ts';
import { createControlDatabase } from '../support/control.ts';
import type { TestDatabase } from '../support/postgres.ts';

const checksum = 'c'.repeat(64);

let database: TestDatabase;
let control: Control;
beforeAll(async () => {
  database = await createControlDatabase();
  control = await openControl(database.url);
});
afterAll(async () => {
  await control.close();
  await database.drop();
});

/** In this order. @returns the migration's name */
async function stored(...ways: readonly { outcome: WayBackOutcome; sql: string }[]): Promise<string> {
  const migration = randomUUID();
  for (const way of ways)
    await storeWayBack(
      control,
      {
        ...{ migration, checksum, source: 'generated', provenOn: null, reasons: [], compared: null },
        ...way,
      } satisfies WayBack,
      { database: 'orders', jobId: randomUUID(), deploymentId: null },
    );
  return migration;
}

const known = async (name: string, written: string | null = null) => {
  const files = new Map(written === null ? [] : [['rollback.sql', written]]);
  const migration = { name, checksum, sql: Buffer.from('select 1'), files };
  const bundle = { id: 'bundle', migrations: [migration] };
  const key = { migration: name, checksum };
  return {
    proven: (await provenWayBack(control, 'orders', key, written))?.sql ?? null,
    inPlans: (await newestWaysBack(control, 'orders', bundle.migrations, bundle)).get(name)?.outcome,
    shown: (await newestWayBack(control, 'orders', migration))?.outcome,
  };
};
const proven = { outcome: 'proven', sql: 'drop table t;' } as const;

describe('the way back that counts', () => {
  test('is a proven one, also where a later time it could not be tried', async () => {
    const generated = await stored(proven, { outcome: 'notRehearsed', sql: '' });
    expect(await known(generated)).toEqual({ proven: proven.sql, inPlans: 'proven', shown: 'proven' });
    const written = await stored(proven, { ...proven, outcome: 'notRehearsed' });
    expect(await known(written, proven.sql)).toEqual({
      proven: proven.sql,
      inPlans: 'proven',
      shown: 'proven',
    });
  });

  test('is not the proven one where it did not hold later', async () => {
    const name = await stored(
      proven,
      { ...proven, outcome: 'wrong' },
      { ...proven, outcome: 'notRehearsed' },
    );
    expect(await known(name)).toEqual({ proven: null, inPlans: 'wrong', shown: 'wrong' });
  });

  test('is the one that is written now, whatever others were tried after it', async () => {
    const name = await stored(proven, { outcome: 'wrong', sql: 'drop table other;' });
    expect(await known(name, proven.sql)).toEqual({ proven: proven.sql, inPlans: 'proven', shown: 'proven' });
    expect(await known(name, 'select 1;')).toMatchObject({ proven: null, inPlans: 'notRehearsed' });
  });

  test('is one that was never tried, where there is no other', async () => {
    const name = await stored({ outcome: 'notRehearsed', sql: '' });
    expect(await known(name)).toEqual({ proven: null, inPlans: 'notRehearsed', shown: 'notRehearsed' });
  });
});
