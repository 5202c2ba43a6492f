import { gzipSync } from 'node:zlib';
import { pack } from 'tar-stream';
import { expect, test } from 'vitest';
import { readArchive } from '../../src/migrations/archive.ts';

type Item = {
  name: string;
  type?: 'file' | 'directory' | 'symlink' | 'link';
  linkname?: string;
  content?: string;
};

async function archive(...items: Item[]): Promise<Buffer> {
  const tar = pack();
  for (const { content = '', ...header } of items) tar.entry(header, content);
  tar.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of tar as AsyncIterable<Buffer>) chunks.push(chunk);
  return gzipSync(Buffer.concat(chunks));
}

const lock = { name: 'migration_lock.toml', content: 'provider = "postgresql"\n' };
const first = { name: '1_first/migration.sql', content: 'create table a();\n' };
const inFolder = (item: Item, folder: string): Item => ({ ...item, name: `${folder}/${item.name}` });

test('the same migrations make the same bundle, however they are packed', async () => {
  const flat = await readArchive(await archive(lock, first));
  const dotted = await readArchive(
    await archive({ name: './', type: 'directory' }, inFolder(lock, '.'), inFolder(first, '.')),
  );
  const folder = await readArchive(
    await archive(
      { name: 'migrations/', type: 'directory' },
      inFolder(lock, 'migrations'),
      inFolder(first, 'migrations'),
    ),
  );
  expect(flat.migrations.map(({ name, sql }) => [name, sql.toString()])).toEqual([
    ['1_first', first.content],
  ]);
  expect([dotted.id, folder.id]).toEqual([flat.id, flat.id]);
});

test('files beside the migrations are passed over', async () => {
  const bundle = await readArchive(
    await archive(
      lock,
      first,
      { name: 'README.md', content: 'x' },
      { name: '1_first/down.sql', content: 'x' },
    ),
  );
  expect(bundle.migrations).toHaveLength(1);
});

test.each<[string, Item]>([
  ['a path that leads out', { name: '../evil/migration.sql' }],
  ['a path that leads out in its middle', { name: '1_first/../../evil.sql' }],
  ['an absolute path', { name: '/etc/passwd' }],
  ['a Windows path', { name: 'C:\\evil.sql' }],
  ['a symbolic link', { name: '2_link', type: 'symlink', linkname: '/etc' }],
  ['a hard link', { name: '2_link', type: 'link', linkname: '1_first/migration.sql' }],
  ['the same file twice', first],
  ['a name that the history cannot hold', { name: `${'n'.repeat(256)}/migration.sql` }],
  ['a second migrations directory', { name: 'x/migration_lock.toml' }],
])('%s is refused', async (_, item) => {
  const items = item.name.startsWith('x/') ? [inFolder(lock, 'y'), inFolder(lock, 'x')] : [lock, first, item];
  await expect(readArchive(await archive(...items))).rejects.toMatchObject({ code: 'BUNDLE_INVALID' });
});

test('what is no archive, or not all of one, is refused', async () => {
  const whole = await archive(lock, { ...first, content: 'select 1;\n'.repeat(10_000) });
  const garbage = [
    Buffer.alloc(0),
    Buffer.from('hello'),
    gzipSync(''),
    gzipSync('this is no tar'.repeat(100)),
    whole.subarray(0, whole.length / 2),
  ];
  for (const bytes of garbage)
    await expect(readArchive(bytes)).rejects.toMatchObject({ code: 'BUNDLE_INVALID' });
});

test('a bomb ends at the limit', async () => {
  const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024));
  const before = process.memoryUsage().arrayBuffers;
  await expect(readArchive(bomb, { maxBytes: 100_000, maxEntries: 10 })).rejects.toMatchObject({
    code: 'BUNDLE_TOO_LARGE',
  });
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(16 * 1024 * 1024);
  const many = Array.from({ length: 11 }, (_, index) => ({ name: `${index}/migration.sql` }));
  await expect(
    readArchive(await archive(...many), { maxBytes: 1_000_000, maxEntries: 10 }),
  ).rejects.toMatchObject({ code: 'BUNDLE_TOO_LARGE' });
});

test.each<[string, Item[]]>([
  ['MIGRATIONS_DIRECTORY_EMPTY', [lock]],
  ['MIGRATION_LOCK_MISSING', [first]],
  ['MIGRATION_PROVIDER_UNSUPPORTED', [{ ...lock, content: 'provider = "mysql"\n' }, first]],
  ['MIGRATION_SQL_MISSING', [lock, { name: '1_first/', type: 'directory' }]],
])('%s', async (code, items) => {
  await expect(readArchive(await archive(...items))).rejects.toMatchObject({ code });
});
