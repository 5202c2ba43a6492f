// Makes Prisma's client for Switchback's own tables. Its engine is not needed for that, and cannot be downloaded
// everywhere: naming a program that always fails makes Prisma do without.
import { spawnSync } from 'node:child_process';
import { existsSync, realpathSync, statSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** Generates the client where it is missing or older than the schema. */
export function generateClient(root) {
  const schema = path.join(root, 'prisma/schema.prisma');
  const client = path.join(root, 'src/db/control/generated/client.ts');
  if (existsSync(client) && statSync(client).mtimeMs >= statSync(schema).mtimeMs) return;
  const prisma = path.join(root, 'node_modules/prisma/build/index.js');
  const { status, stdout, stderr } = spawnSync(process.execPath, [prisma, 'generate'], {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, PRISMA_SCHEMA_ENGINE_BINARY: '/bin/false', PRISMA_HIDE_UPDATE_MESSAGE: '1' },
  });
  if (status !== 0) throw new Error(`prisma generate failed:\n${stdout}${stderr}`);
}

const self = fileURLToPath(import.meta.url);
const startedFrom = process.argv[1];
if (startedFrom !== undefined && realpathSync(startedFrom) === self)
  generateClient(path.resolve(path.dirname(self), '..'));
