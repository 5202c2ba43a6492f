import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { findPrograms, type Programs, runProgram } from '../../src/db/programs.ts';
import { AppError } from '../../src/errors.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'switchback-programs-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

/** A folder with a pg_dump that is this shell script. */
async function install(name: string, script: string): Promise<string> {
  const place = path.join(directory, name);
  await mkdir(place, { recursive: true });
  await writeFile(path.join(place, 'pg_dump'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return place;
}
const versioned = (version: string): Promise<string> =>
  install(version, `echo 'pg_dump (PostgreSQL) ${version}'`);
const scripted = async (script: string): Promise<Programs> => ({
  directory: await install('scripted', script),
  version: '99.1',
  major: 99,
});
const failure = (end: { exitCode: number | null; stderr: string }): AppError =>
  new AppError('BACKUP_FAILED', `${end.exitCode}: ${end.stderr}`, { ...end });
const read = async (output: AsyncIterable<Buffer>): Promise<string> => {
  let text = '';
  for await (const chunk of output) text += chunk.toString();
  return text;
};
const never = new AbortController().signal;

describe('finding programs', () => {
  test('takes the lowest major version that is not below the server', async () => {
    const searchPath = [
      await versioned('97.2'),
      await versioned('99.1'),
      await versioned('98.3'),
      '/nowhere',
    ];
    expect(await findPrograms({ searchPath }, 98)).toMatchObject({ version: '98.3', major: 98 });
  });

  test('looks only into the configured folder when there is one', async () => {
    const searchPath = [await versioned('98.3')];
    await expect(findPrograms({ directory: await versioned('97.2'), searchPath }, 98)).rejects.toMatchObject({
      code: 'PROGRAM_TOO_OLD',
      details: { serverMajor: 98, command: expect.stringContaining('98') },
    });
    await expect(findPrograms({ directory: '/nowhere', searchPath }, 98)).rejects.toMatchObject({
      code: 'PROGRAM_MISSING',
    });
  });

  test("passes over Debian's wrapper, which picks a version by itself", async () => {
    const wrapper = path.join(await install('share', "echo 'pg_dump (PostgreSQL) 98.0'"), 'pg_wrapper');
    await writeFile(wrapper, "#!/bin/sh\necho 'pg_dump (PostgreSQL) 98.0'\n", { mode: 0o755 });
    await mkdir(path.join(directory, 'bin'));
    await symlink(wrapper, path.join(directory, 'bin', 'pg_dump'));
    const searchPath = [path.join(directory, 'bin'), await versioned('99.1')];
    expect(await findPrograms({ searchPath }, 98)).toMatchObject({ version: '99.1' });
  });
});

describe('running a program', () => {
  const run = (programs: Programs, changes: Partial<Parameters<typeof runProgram>[2]> = {}) =>
    runProgram(programs, 'pg_dump', { arguments: [], environment: {}, signal: never, failure, ...changes });

  test('yields what it writes and gets what it reads', async () => {
    const input = (async function* () {
      yield Buffer.from('in and ');
      yield Buffer.from('out');
    })();
    expect(await read(run(await scripted('/bin/cat'), { input }))).toBe('in and out');
  });

  test('an end that is not exit code 0 is an error, with the password removed from what it said', async () => {
    const programs = await scripted('echo "some output"; echo "wrong password: $PGPASSWORD" >&2; exit 3');
    await expect(
      read(run(programs, { environment: { PGPASSWORD: 'hunter2-and-more' } })),
    ).rejects.toMatchObject({ details: { exitCode: 3, stderr: 'wrong password: [redacted]' } });
  });

  test('keeps only the end of what it says', async () => {
    const programs = await scripted(
      'i=0; while [ $i -lt 3000 ]; do echo "line $i of a long complaint" >&2; i=$((i+1)); done; exit 1',
    );
    const error = await read(run(programs)).catch((thrown: AppError) => thrown);
    const stderr = error instanceof AppError ? String(error.details.stderr) : '';
    expect(stderr.length).toBeLessThanOrEqual(16_384);
    expect(stderr.endsWith('line 2999 of a long complaint')).toBe(true);
  });

  test('gives it nothing of our own environment', async () => {
    const seen = await read(run(await scripted('/usr/bin/env'), { environment: { PGHOST: 'somewhere' } }));
    const names = seen.split('\n').map((line) => line.split('=')[0]);
    expect(names).toContain('PGHOST');
    expect(names).not.toContain('HOME');
  });

  test('the signal ends it, and a reader that stops reading too', async () => {
    const programs = await scripted('echo started; exec /bin/sleep 60');
    const abort = new AbortController();
    const reading = read(run(programs, { signal: abort.signal }));
    abort.abort(new Error('cancelled by a test'));
    await expect(reading).rejects.toThrow('cancelled by a test');
    for await (const chunk of run(programs)) {
      expect(chunk.toString()).toBe('started\n');
      break;
    }
  });

  test('an input that breaks is the error, and one that the program does not read is read to its end', async () => {
    const breaking = (async function* () {
      yield Buffer.from('one');
      throw new Error('the store broke');
    })();
    await expect(read(run(await scripted('/bin/cat'), { input: breaking }))).rejects.toThrow(
      'the store broke',
    );
    let chunks = 0;
    const long = (async function* () {
      for (; chunks < 50; chunks += 1) yield Buffer.alloc(65_536);
    })();
    expect(await read(run(await scripted('exit 0'), { input: long }))).toBe('');
    expect(chunks).toBe(50);
  });

  test('a program that cannot be started is an error', async () => {
    await expect(read(run({ directory: '/nowhere', version: '99.1', major: 99 }))).rejects.toMatchObject({
      code: 'BACKUP_FAILED',
    });
  });
});
