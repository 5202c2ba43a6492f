import { existsSync } from 'node:fs';
import { readFile, rename, writeFile } from 'node:fs/promises';

/** What the file holds, which only its owner can read; `make` gives it at the first time. The file is whole or not there. */
export async function keepSecret(file: string, make: () => string): Promise<string> {
  if (!existsSync(file)) {
    await writeFile(`${file}.new`, make(), { mode: 0o600 });
    await rename(`${file}.new`, file);
  }
  return (await readFile(file, 'utf8')).trim();
}
