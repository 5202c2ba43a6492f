/** Where systems keep PostgreSQL's programs, and the one command that installs them there. */
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';

/** `[parent, one folder for each version, where the programs are below it]` */
const versioned: readonly (readonly [string, RegExp, string])[] = [
  ['/usr/lib/postgresql', /^\d+$/, 'bin'], // Debian, Ubuntu
  ['/usr', /^pgsql-\d+$/, 'bin'], // packages of yum.postgresql.org
  ['/usr/libexec', /^postgresql\d+$/, ''], // Alpine
  ['/opt/homebrew/opt', /^(libpq|postgresql@\d+)$/, 'bin'],
  ['/usr/local/opt', /^(libpq|postgresql@\d+)$/, 'bin'],
  ['/Applications/Postgres.app/Contents/Versions', /^\d+$/, 'bin'],
];

/** Folders in which packages of PostgreSQL put its programs, as far as they exist here. */
export async function usualDirectories(): Promise<string[]> {
  const found = await Promise.all(
    versioned.map(async ([parent, pattern, child]) =>
      (await entriesOf(parent))
        .filter((name) => pattern.test(name))
        .map((name) => path.join(parent, name, child)),
    ),
  );
  return found.flat();
}

async function entriesOf(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch {
    // A place of another system.
    return [];
  }
}

/** The command that installs the client programs of a major version on this system. */
export async function installCommand(major: number): Promise<string> {
  if (process.platform === 'darwin') return `brew install postgresql@${major}`;
  const system = await linuxFamily();
  if (/debian|ubuntu/.test(system))
    return (
      'sudo apt-get install -y postgresql-common && sudo /usr/share/postgresql-common/pgdg/apt.postgresql.org.sh -y && ' +
      `sudo apt-get install -y postgresql-client-${major}`
    );
  if (/alpine/.test(system)) return `sudo apk add postgresql${major}-client`;
  if (/fedora|rhel|centos/.test(system)) return `sudo dnf install -y postgresql${major}`;
  return `get PostgreSQL ${major} from https://www.postgresql.org/download/, and set PG_BIN_DIR to the folder that holds pg_dump`;
}

/** `ID` and `ID_LIKE` of os-release. */
async function linuxFamily(): Promise<string> {
  try {
    const release = await readFile('/etc/os-release', 'utf8');
    return release.match(/^ID(_LIKE)?=.*$/gm)?.join(' ') ?? '';
  } catch {
    // Not every system has the file; the general advice fits then.
    return '';
  }
}
