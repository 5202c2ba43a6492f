import { mkdtemp, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { inject } from 'vitest';
import { describeColumns, prepareTransfer } from '../../../src/data-migrations/transform/columns.ts';
import { findModule } from '../../../src/data-migrations/transform/find-module.ts';
import type {
  Shape,
  TransformBatch,
  TransformerOptions,
  TransformLimits,
  TransformOutcome,
} from '../../../src/data-migrations/transform/request.ts';
import { openTransformer } from '../../../src/data-migrations/transform/transformer.ts';
import { openSession, type Session } from '../../../src/db/session.ts';
import { parseTarget } from '../../../src/db/target.ts';
import { createDatabase } from '../../support/postgres.ts';

export interface Given {
  /** The module's text. */
  readonly module: string;
  /** SELECT, and the table with the columns that are written. */
  readonly read: string;
  readonly into: string;
  readonly columns: readonly string[];
  readonly key?: Shape['key'];
  readonly hidden?: readonly string[];
  readonly context?: TransformerOptions['context'];
  readonly limits?: Partial<TransformLimits>;
}

export type Run = (batch?: Partial<TransformBatch>) => Promise<TransformOutcome>;

/** A database with two sessions, in which modules are tried. */
export interface Place {
  readonly source: Session;
  readonly target: Session;
  readonly folder: string;
  /** Works with a transform; each run is a transaction, which is rolled back when it fails. */
  withTransform<T>(given: Given, work: (run: Run, file: string) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

export async function openPlace(schema: string): Promise<Place> {
  const database = await createDatabase();
  const folder = await mkdtemp(path.join(inject('runFolder'), 'transforms-'));
  const open = async (): Promise<Session> => {
    const session = await openSession(parseTarget(database.url), { applicationName: 'transform-test' });
    await prepareTransfer(session);
    return session;
  };
  const [source, target] = await Promise.all([open(), open()]);
  await source.query(schema);
  let modules = 0;
  return {
    source,
    target,
    folder,
    async withTransform(given, work) {
      const { module, read, into, columns, key = [{ input: 'id', output: 'id' }], hidden = [] } = given;
      modules += 1;
      const file = path.join(folder, `module${modules}.mjs`);
      await writeFile(file, module);
      const list = columns.map((name) => `"${name}"`).join(', ');
      const transformer = await openTransformer({
        module: await findModule(folder, `module${modules}`, null),
        shape: {
          input: await describeColumns(source, read),
          output: await describeColumns(target, `select ${list} from ${into}`),
          key,
          hidden,
        },
        context: given.context ?? {},
        limits: { threads: 2, ...given.limits },
      });
      try {
        return await work(async (batch) => {
          const writing = batch?.target ?? target;
          await writing.query('begin');
          try {
            const outcome = await transformer.run({
              name: 'batch 7',
              source,
              read: `copy (${read}) to stdout`,
              target,
              write: `copy ${into} (${list}) from stdin`,
              tolerated: 0,
              signal: new AbortController().signal,
              ...batch,
            });
            await writing.query('commit');
            return outcome;
          } catch (error) {
            await writing.query('rollback');
            throw error;
          }
        }, file);
      } finally {
        await transformer.close();
      }
    },
    async close() {
      await source.close();
      await target.close();
      await database.drop();
    },
  };
}
