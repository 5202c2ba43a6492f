import { createHash, randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import type { TokenConfig } from '../config.ts';
import { keepSecret } from '../embedded/keep-secret.ts';

export interface FirstToken {
  readonly token: string;
  /** Where it is kept. */
  readonly file: string;
  readonly config: TokenConfig;
}

/** The token of a first run, which may do everything: made once, and kept in a file that only its owner can read. */
export async function firstToken(dataDirectory: string): Promise<FirstToken> {
  await mkdir(dataDirectory, { recursive: true });
  const file = path.join(dataDirectory, 'token');
  const token = await keepSecret(file, () => `sb_${randomBytes(32).toString('base64url')}`);
  const sha256 = createHash('sha256').update(token).digest('hex');
  return { token, file, config: { name: 'first', sha256, scopes: ['admin'], databases: ['*'] } };
}
