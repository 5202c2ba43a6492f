/** The thread in which a module runs. It is started without environment and without the process' output. */
import { isAscii, isUtf8 } from 'node:buffer';
import { parentPort, workerData } from 'node:worker_threads';
import type { Shape } from './request.ts';
import { type BlockFault, BlockTransform, type Transform } from './transform-block.ts';

export interface ThreadData {
  /** URL of the module. */
  readonly module: string;
  readonly shape: Shape;
  readonly context: Readonly<Record<string, unknown>>;
}

/** Rows in COPY's text format; the buffer changes hands. */
export interface Task {
  readonly rows: ArrayBuffer;
  readonly bytes: number;
  readonly count: number;
  readonly tolerated: number;
}

/** What the thread answers; `ready` once, before all else. */
export type ThreadAnswer =
  | { readonly ready: true }
  | { readonly unusable: string }
  | { readonly done: Done }
  | { readonly failed: string };

export interface Done {
  readonly rows: ArrayBuffer;
  readonly bytes: number;
  readonly written: number;
  readonly faults: readonly BlockFault[];
  readonly lastKey: readonly (string | null)[];
}

if (parentPort !== null) {
  const port = parentPort;
  const { module, shape, context } = workerData as ThreadData;
  const answer = (message: ThreadAnswer, transferred: ArrayBuffer[] = []): void =>
    port.postMessage(message, transferred);
  const loaded = await load(module);
  if (typeof loaded === 'string') answer({ unusable: loaded });
  else {
    const blocks = new BlockTransform(shape, loaded, Object.freeze(context));
    port.on('message', (task: Task) => {
      perform(blocks, task).then(
        (done) => answer({ done }, [done.rows]),
        (error: unknown) => answer({ failed: reasonOf(error) }),
      );
    });
    answer({ ready: true });
  }
}

/** The module's default export; or why it is of no use. */
async function load(module: string): Promise<Transform | string> {
  try {
    const { default: exported } = (await import(module)) as { default?: unknown };
    return typeof exported === 'function' ? (exported as Transform) : 'it exports no function as its default';
  } catch (error) {
    return reasonOf(error);
  }
}

async function perform(blocks: BlockTransform, { rows, bytes, count, tolerated }: Task): Promise<Done> {
  const { text, ...done } = await blocks.run(decode(Buffer.from(rows, 0, bytes)), count, tolerated);
  const size = Buffer.byteLength(text);
  const written = Buffer.allocUnsafeSlow(size);
  // As many bytes as characters are ASCII, which is written many times as fast under this name.
  written.write(text, size === text.length ? 'latin1' : 'utf8');
  return { ...done, rows: written.buffer, bytes: size };
}

function decode(rows: Buffer): string {
  if (isAscii(rows)) return rows.toString('latin1');
  // A database in SQL_ASCII holds what it was given.
  if (!isUtf8(rows)) throw new Error('the rows hold text that is not UTF-8');
  return rows.toString('utf8');
}

function reasonOf(error: unknown): string {
  return ((error instanceof Error ? error.message : String(error)).split('\n', 1)[0] ?? '').slice(0, 300);
}
