/** Starts PostgreSQL servers for tests, in the folder of the run. */
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import {
  embeddedPackage,
  findBinaries,
  hasBinaries,
  reachableBinaries,
} from '../../src/embedded/binaries.ts';
import { serverUser } from '../../src/embedded/os-user.ts';
import { freePort } from '../../src/embedded/port.ts';
import { type Server, type ServerOptions, startServer } from '../../src/embedded/server.ts';

export const majors = [14, 15, 16, 17, 18] as const;
export type Major = (typeof majors)[number];

const packageOf = (major: Major): string =>
  major === 15 ? embeddedPackage : `pg${major}-${process.platform}-${process.arch}`;

/** The majors whose binaries are installed here. Tests of another one say so by being skipped. */
export const availableMajors: readonly Major[] = majors.filter((major) => hasBinaries(packageOf(major)));

/** Fast, not safe: nothing here has to survive a power cut. */
const settings = { fsync: 'off', shared_buffers: '16MB', max_connections: '300', full_page_writes: 'off' };

export async function launchServer(
  runFolder: string,
  major: Major,
  more: Readonly<Record<string, string>>,
): Promise<Server & { readonly options: ServerOptions }> {
  const user = serverUser();
  const folder = path.join(runFolder, `postgresql-${major}-${randomUUID().slice(0, 8)}`);
  await mkdir(folder, { mode: 0o755 });
  const options: ServerOptions = {
    binaries: await reachableBinaries(
      await findBinaries(packageOf(major)),
      user,
      path.join(folder, 'binaries'),
    ),
    dataDirectory: path.join(folder, 'data'),
    user,
    password: randomBytes(12).toString('hex'),
    port: await freePort(),
    settings: { ...settings, ...more },
  };
  return { ...(await startServer(options)), options };
}
