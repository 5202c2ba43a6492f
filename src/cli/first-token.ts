import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { TokenConfig } from '../config.ts';

/** The token of a first run: made once, kept in a file that only its owner can read. */
export async function firstToken(
  dataDirectory: string,
): Promise<{ token: string; config: TokenConfig; file: string }> {
  const file = path.join(dataDirectory, 'token');
  await mkdir(dataDirectory, { recursive: true });
  if (!existsSync(file))
    await writeFile(file, `sb_${randomBytes(32).toString('base64url')}`, { mode: 0o600 });
  const token = (await readFile(file, 'utf8')).trim();
  const sha256 = createHash('sha256').update(token).digest('hex');
  return { token, file, config: { name: 'first', sha256, scopes: ['admin'], databases: ['*'] } };
}
