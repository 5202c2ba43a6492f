import { spawnSync } from 'node:child_process';
import type { TestProject } from 'vitest/node';
import { availableMajors, launchServer, majors } from './launch.ts';
import { hasPgbouncer } from './pgbouncer.ts';
import { closeRunFolder, dropRunFolder, openRunFolder } from './run-folder.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** The folder of this run; see `run-folder.ts`. */
    runFolder: string;
    /** URL of the run's PostgreSQL 15, database `postgres`, as a superuser. */
    postgresUrl: string;
  }
}

/** Starts the PostgreSQL that all tests share. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  if (process.env.CI === 'true') demandEverything();
  const folder = await openRunFolder();
  const drop = (): void => dropRunFolder(folder);
  process.once('exit', drop);
  try {
    const server = await launchServer(folder, 15, {});
    project.provide('runFolder', folder);
    project.provide('postgresUrl', server.url('postgres'));
  } catch (error) {
    await closeRunFolder(folder);
    throw error;
  }
  return async () => {
    await closeRunFolder(folder);
    process.off('exit', drop);
  };
}

/** Where a part is missing its tests are skipped, and say so. The run that decides may skip none. */
function demandEverything(): void {
  const missing = majors
    .filter((major) => !availableMajors.includes(major))
    .map((major) => `PostgreSQL ${major}`);
  if (spawnSync('redis-server', ['--version']).status !== 0) missing.push('redis-server');
  if (!hasPgbouncer) missing.push('pgbouncer');
  if (missing.length > 0) throw new Error(`CI=true, and these are missing: ${missing.join(', ')}`);
}
