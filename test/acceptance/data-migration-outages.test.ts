/** What happens to a data migration when the databases under it go away for a moment, or have no room left. */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { expect, inject, test, vi } from 'vitest';
import { serverUser } from '../../src/embedded/os-user.ts';
import { sql, value } from '../data-migrations/migrate.ts';
import { onShared, startServer } from '../support/postgres.ts';
import { waitFor } from '../support/wait.ts';
import { openDataMigrationPlace, unlimited } from './data-migration-place.ts';

vi.setConfig({ testTimeout: 120_000 });

const policy = { backup: { never: 'a test database' }, throttle: unlimited };

test('both databases crash in the middle: it goes on, and every row is copied once', async () => {
  const [one, other] = await Promise.all([startServer(15), startServer(15)]);
  const place = await openDataMigrationPlace({
    databases: [
      { name: 'orders', url: one.url(), migrations: 'none', policy },
      { name: 'crm', url: other.url(), migrations: 'none', policy },
    ],
  });
  try {
    await sql(
      one.url(),
      'create table item (id int primary key, n int); insert into item select n, n from generate_series(1, 3000) n',
    );
    await sql(other.url(), 'create table item (id int, n int)');
    await place.work();
    const { id, job } = await place.ask({
      ...{ kind: 'copy', table: 'item', to: { database: 'crm', table: 'item' } },
      ...{ parallelism: 2, pace: { maxRows: 20, rowsPerSecond: 1_000 } },
    });
    await waitFor(async () => Number((await place.shown(id)).progress?.scanned) >= 1, { what: 'a batch' });
    await Promise.all([one.restart('immediate'), other.restart('immediate')]);
    await place.call('PATCH', `/api/data-migrations/${id}`, { pace: { rowsPerSecond: null } });
    expect(await place.inState(id, 'finished', 'failed')).toMatchObject({
      ...{ state: 'finished', job: { id: job, state: 'succeeded' } },
      progress: { scanned: 3_000, changed: 3_000 },
      validation: { passed: true },
    });
    expect(
      await value(other.url(), 'select array[count(*), count(distinct id), sum(n)]::int[] from item'),
    ).toEqual([3_000, 3_000, 4_501_500]);
  } finally {
    await place.close();
    await Promise.all([one.stop(), other.stop()]);
  }
});

test('a disk that is full fails it with no row at fault; with room it goes on where it was', async (context) => {
  const mount = path.join(inject('runFolder'), 'small-disk');
  mkdirSync(mount);
  const user = serverUser();
  const owner = user === null ? '' : `,uid=${user.uid},gid=${user.gid},mode=700`;
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=4m${owner}`, 'tmpfs', mount], { stdio: 'pipe' });
  } catch {
    context.skip('this user may not mount a small file system');
  }
  chmodSync(mount, 0o700);
  const place = await openDataMigrationPlace();
  const { url } = place.orders;
  try {
    await onShared((client) => client.query(`create tablespace small_disk location '${mount}'`));
    await sql(
      url,
      `create table item (id int primary key, note text); insert into item select n, repeat('x', 1000) from generate_series(1, 20000) n;
       create table copied (id int, note text) tablespace small_disk`,
    );
    await place.work();
    const { id } = await place.ask({
      ...{ kind: 'copy', table: 'item', to: { table: 'copied' }, toleratedRows: 1_000 },
      pace: { maxRows: 200 },
    });
    expect(await place.inState(id, 'finished', 'failed')).toMatchObject({
      state: 'failed',
      job: { error: { code: 'STATEMENT_FAILED', details: { sqlstate: '53100' } } },
      progress: { quarantined: 0 },
    });
    const done = await value(url, 'select count(*)::int from copied');
    expect(done).toBeGreaterThan(0);
    expect(done).toBeLessThan(20_000);
    execFileSync('mount', ['-o', `remount,size=100m${owner}`, mount], { stdio: 'pipe' });
    expect((await place.call('POST', `/api/data-migrations/${id}/resume`)).status).toBe(202);
    expect(await place.inState(id, 'finished', 'failed')).toMatchObject({
      state: 'finished',
      progress: { scanned: 20_000, changed: 20_000, quarantined: 0 },
    });
    expect(await value(url, 'select array[count(*), count(distinct id)]::int[] from copied')).toEqual([
      20_000, 20_000,
    ]);
  } finally {
    await place.close();
    await onShared((client) => client.query('drop tablespace if exists small_disk'));
    execFileSync('umount', ['-l', mount]);
  }
});
