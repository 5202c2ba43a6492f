import type { Transformer, TransformerOptions, TransformLimits } from './request.ts';
import { Threads } from './threads.ts';
import { Transfer } from './transfer.ts';

const defaults: TransformLimits = { threads: 2, memoryMb: 256, callMs: 30_000 };

/**
 * Starts a thread with the module.
 * @throws AppError `TRANSFORM_UNUSABLE`
 */
export async function openTransformer(options: TransformerOptions): Promise<Transformer> {
  const threads = new Threads(options, { ...defaults, ...options.limits });
  await threads.start();
  return {
    run: (batch) => new Transfer(options.module.name, batch, threads).run(),
    close: () => threads.close(),
  };
}
