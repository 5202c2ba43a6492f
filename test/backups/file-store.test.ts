import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { BackupStore } from '../../src/backups/stores/define-store.ts';
import { openStore } from '../../src/backups/stores/index.ts';

const forever = new AbortController().signal;
let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'switchback-store-'));
});
afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

const open = (): Promise<BackupStore> =>
  openStore({ type: 'file', directory: path.join(directory, 'store') });
const filesIn = async (place: string): Promise<string[]> => {
  const entries = await readdir(place, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => entry.name);
};
async function* chunksOf(...chunks: string[]): AsyncGenerator<Buffer> {
  for (const chunk of chunks) yield Buffer.from(chunk);
}
const readAll = async (content: AsyncIterable<Uint8Array>): Promise<string> => {
  const chunks: Uint8Array[] = [];
  for await (const chunk of content) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
};

describe('the file store', () => {
  test('keeps, lists and removes what it is given, readable by its owner only', async () => {
    const store = await open();
    const written = await store.put('orders/one.dump', chunksOf('first ', 'second'), forever);
    expect(written).toEqual({
      bytes: 12,
      sha256: createHash('sha256').update('first second').digest('hex'),
    });
    expect(await readAll(store.get('orders/one.dump'))).toBe('first second');
    const file = path.join(directory, 'store', 'orders', 'one.dump');
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect((await stat(path.dirname(file))).mode & 0o777).toBe(0o700);
    expect((await stat(path.join(directory, 'store'))).mode & 0o777).toBe(0o700);
    const listed = [];
    for await (const { key, bytes } of store.list()) listed.push({ key, bytes });
    expect(listed).toEqual([{ key: 'orders/one.dump', bytes: 12 }]);
    await store.remove('orders/one.dump');
    await store.remove('orders/one.dump');
    await expect(readAll(store.get('orders/one.dump'))).rejects.toMatchObject({ code: 'BACKUP_NOT_FOUND' });
  });

  test.each(['../outside', '/etc/passwd', 'orders/../../outside', 'orders//one', '.hidden', 'orders/.', ''])(
    'refuses the key "%s"',
    async (key) => {
      const store = await open();
      await expect(store.put(key, chunksOf('x'), forever)).rejects.toMatchObject({ code: 'INTERNAL' });
      await expect(store.remove(key)).rejects.toMatchObject({ code: 'INTERNAL' });
      await expect(readAll(store.get(key))).rejects.toMatchObject({ code: 'INTERNAL' });
    },
  );

  test('keeps the earlier object and no part of the new one when the content breaks off', async () => {
    const store = await open();
    await store.put('orders/one.dump', chunksOf('whole'), forever);
    const broken = (async function* () {
      yield Buffer.from('half');
      throw new Error('the source broke');
    })();
    await expect(store.put('orders/one.dump', broken, forever)).rejects.toThrow('the source broke');
    expect(await readAll(store.get('orders/one.dump'))).toBe('whole');
    expect(await filesIn(directory)).toEqual(['one.dump']);
  });

  test('leaves nothing behind when it is aborted', async () => {
    const store = await open();
    const abort = new AbortController();
    const content = (async function* () {
      yield Buffer.from('one');
      abort.abort(new Error('cancelled by a test'));
      yield Buffer.from('two');
    })();
    await expect(store.put('orders/one.dump', content, abort.signal)).rejects.toThrow('cancelled by a test');
    expect(await filesIn(directory)).toEqual([]);
  });

  test('says so when there is no room, and leaves no partial file', async (context) => {
    const mount = path.join(directory, 'store');
    await mkdir(mount);
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', mount], { stdio: 'pipe' });
    } catch {
      context.skip('this user may not mount a small file system');
    }
    try {
      const store = await open();
      await store.put('orders/small.dump', chunksOf('fits'), forever);
      const large = chunksOf(...Array.from({ length: 32 }, () => 'x'.repeat(65_536)));
      await expect(store.put('orders/large.dump', large, forever)).rejects.toMatchObject({
        code: 'STORE_FULL',
      });
      expect(await filesIn(mount)).toEqual(['small.dump']);
      expect(await readAll(store.get('orders/small.dump'))).toBe('fits');
    } finally {
      execFileSync('umount', [mount]);
    }
  });

  test('a directory that cannot be made is told when the store is opened', async () => {
    await writeFile(path.join(directory, 'store'), 'a file where the directory should be');
    await expect(open()).rejects.toMatchObject({ code: 'STORE_UNREACHABLE' });
  });

  test('removes what killed processes left, and nothing that somebody may still write', async () => {
    const store = path.join(directory, 'store');
    await mkdir(path.join(store, 'orders'), { recursive: true });
    // A process number that was in use and is free again.
    const gone = Number(execFileSync(process.execPath, ['-p', 'process.pid']).toString());
    const files = {
      dead: `.switchback-${hostname()}-${gone}-00ff.part`,
      alive: `.switchback-${hostname()}-${process.ppid}-00ff.part`,
      elsewhere: `.switchback-another-host-${gone}-00ff.part`,
      elsewhereOld: `.switchback-another-host-${gone}-aa00.part`,
      ownEarlierLife: `.switchback-${hostname()}-${process.pid}-00ff.part`,
      own: `.switchback-${hostname()}-${process.pid}-aa00.part`,
      foreign: '.somebody-elses.part',
    };
    for (const name of Object.values(files)) await writeFile(path.join(store, 'orders', name), 'part');
    const daysAgo = new Date(Date.now() - 3 * 86_400_000);
    await utimes(path.join(store, 'orders', files.elsewhereOld), daysAgo, daysAgo);
    const beforeStart = new Date(Date.now() - (process.uptime() + 60) * 1_000);
    await utimes(path.join(store, 'orders', files.ownEarlierLife), beforeStart, beforeStart);
    await writeFile(path.join(store, 'orders', 'one.dump'), 'whole');
    await open();
    expect((await filesIn(store)).sort()).toEqual(
      [files.alive, files.elsewhere, files.own, files.foreign, 'one.dump'].sort(),
    );
    expect(await readFile(path.join(store, 'orders', 'one.dump'), 'utf8')).toBe('whole');
  });
});
