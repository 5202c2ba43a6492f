/** PostgreSQL's own programs: where they are, and how they are run. */
import { execFile, spawn } from 'node:child_process';
import { realpath } from 'node:fs/promises';
import path from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { promisify } from 'node:util';
import { AppError } from '../errors.ts';
import { installCommand, usualDirectories } from './program-places.ts';

export type ProgramName = 'pg_dump' | 'pg_restore' | 'psql';

/** One folder with PostgreSQL's programs of one version. */
export interface Programs {
  readonly directory: string;
  /** `15.18` */
  readonly version: string;
  readonly major: number;
}

export interface ProgramPlaces {
  /** `config.postgresPrograms`: when given, the only folder that is looked into. */
  readonly directory?: string | undefined;
  /** The folders of PATH. */
  readonly searchPath: readonly string[];
}

/**
 * Finds programs that can work on a server: pg_dump refuses a server of a newer major version, so the lowest major
 * that is not below the server's is taken (what it writes can be restored by that server's own programs).
 * @throws AppError `PROGRAM_MISSING`, `PROGRAM_TOO_OLD`; both name the command that installs what is missing
 */
export async function findPrograms(places: ProgramPlaces, serverMajor: number): Promise<Programs> {
  const directories =
    places.directory === undefined
      ? [...places.searchPath, ...(await usualDirectories())]
      : [places.directory];
  const found = (await Promise.all([...new Set(directories)].map(inspectDirectory))).filter(
    (programs) => programs !== null,
  );
  const fitting = found
    .filter((programs) => programs.major >= serverMajor)
    .sort((one, other) => one.major - other.major);
  if (fitting[0] !== undefined) return fitting[0];
  const command = await installCommand(serverMajor);
  const where = places.directory ?? 'the PATH and the usual places';
  if (found.length === 0)
    throw new AppError(
      'PROGRAM_MISSING',
      `pg_dump was not found in ${where}. Nothing was done. Install PostgreSQL's client programs: ${command}`,
      { program: 'pg_dump', serverMajor, command },
    );
  const versions = found.map((programs) => `${programs.version} in ${programs.directory}`);
  throw new AppError(
    'PROGRAM_TOO_OLD',
    `The server is PostgreSQL ${serverMajor}, but pg_dump is only ${versions.join(', ')}. Nothing was done. ` +
      `Install the client programs of version ${serverMajor}: ${command}`,
    { serverMajor, found: versions, command },
  );
}

async function inspectDirectory(directory: string): Promise<Programs | null> {
  const file = path.join(directory, 'pg_dump');
  try {
    // Debian's /usr/bin/pg_dump is a script that picks a version by itself; the programs proper are elsewhere.
    if (path.basename(await realpath(file)) === 'pg_wrapper') return null;
    const { stdout } = await promisify(execFile)(file, ['--version'], { env: {}, timeout: 10_000 });
    const version = /\d+(\.\d+)*/.exec(stdout)?.[0];
    if (version === undefined) return null;
    return { directory, version, major: Number.parseInt(version, 10) };
  } catch {
    // Not there, or not for this machine: the caller says so when nothing else is found either.
    return null;
  }
}

/** How a program ended. `stderr` holds its last lines, without the password. */
export interface ProgramEnd {
  readonly program: ProgramName;
  readonly exitCode: number | null;
  readonly killedBy: NodeJS.Signals | null;
  readonly stderr: string;
}

export interface ProgramRun {
  readonly arguments: readonly string[];
  /** `Target.libpqEnvironment`: the only place where the password is handed over. */
  readonly environment: Readonly<Record<string, string>>;
  readonly input?: AsyncIterable<Uint8Array>;
  readonly signal: AbortSignal;
  /** Makes the error of an end that is not exit code 0. */
  failure(end: ProgramEnd): AppError;
}

/**
 * Runs a program and yields what it writes. The iteration ends only after the program ended well: whoever reads to
 * the end has everything. Breaking off, an error and the signal end the program, and wait until it is gone.
 * All of `input` is read, also when the program stops reading early.
 * @throws what `failure` makes; the signal's reason; what `input` throws
 */
export async function* runProgram(
  programs: Programs,
  program: ProgramName,
  run: ProgramRun,
): AsyncGenerator<Buffer, void, undefined> {
  run.signal.throwIfAborted();
  // Nothing of our own environment: PGOPTIONS or PGSERVICE of whoever started us are not for this run.
  const child = spawn(path.join(programs.directory, program), run.arguments, {
    env: { ...run.environment, LC_ALL: 'C', PATH: programs.directory },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const ended = new Promise<Omit<ProgramEnd, 'stderr'>>((resolve) => {
    child.once('close', (exitCode, killedBy) => resolve({ program, exitCode, killedBy }));
    child.once('error', () => resolve({ program, exitCode: null, killedBy: null }));
  });
  const stderr = collectTail(child.stderr);
  const terminate = (): void => void child.kill('SIGTERM');
  run.signal.addEventListener('abort', terminate, { once: true });
  const over = new AbortController();
  const fed = feed(child.stdin, run.input, AbortSignal.any([run.signal, over.signal]));
  try {
    for await (const chunk of child.stdout) yield chunk as Buffer;
    const broken = await fed;
    const end = await ended;
    run.signal.throwIfAborted();
    if (broken !== null) throw broken.thrown;
    if (end.exitCode !== 0) throw run.failure({ ...end, stderr: scrub(stderr(), run.environment) });
  } finally {
    run.signal.removeEventListener('abort', terminate);
    over.abort();
    terminate();
    const stubborn = setTimeout(() => child.kill('SIGKILL'), 5_000);
    await ended;
    clearTimeout(stubborn);
  }
}

/**
 * Writes `input` to a program. One that closes its input has read what it needs: its exit code says how it went.
 * What `input` throws is returned, since nobody waits for it while the program still writes.
 */
async function feed(
  stdin: Writable,
  input: AsyncIterable<Uint8Array> | undefined,
  signal: AbortSignal,
): Promise<{ thrown: unknown } | null> {
  let open = true;
  stdin.on('error', () => {
    open = false;
  });
  try {
    for await (const chunk of input ?? []) {
      signal.throwIfAborted();
      if (open) await new Promise((resolve) => stdin.write(chunk, resolve));
    }
    return null;
  } catch (thrown) {
    return { thrown };
  } finally {
    stdin.end();
  }
}

const tailCharacters = 16_384;

/** Collects the end of a text stream in bounded memory. */
function collectTail(stream: Readable): () => string {
  let tail = '';
  stream.setEncoding('utf8').on('data', (text: string) => {
    tail = (tail + text).slice(-tailCharacters);
  });
  return () => tail.trim();
}

function scrub(text: string, environment: Readonly<Record<string, string>>): string {
  const password = environment.PGPASSWORD ?? '';
  return password.length > 3 ? text.replaceAll(password, '[redacted]') : text;
}
