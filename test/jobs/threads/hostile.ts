/** A thread of analysis that does what the text says: hang, die, crash, eat memory, or answer. */
import { parentPort, threadId } from 'node:worker_threads';
import type { Task } from '../../../src/jobs/analysis/analysis-tasks.ts';

const eaten: number[][] = [];
const hostile: Readonly<Record<string, () => void>> = {
  hang() {
    for (;;);
  },
  die() {
    process.exit(1);
  },
  crash() {
    throw new Error('out of this thread');
  },
  eat() {
    for (;;) eaten.push(Array.from({ length: 100_000 }, Math.random));
  },
};

parentPort?.on('message', ({ kind, request }: Task) => {
  const text = kind === 'plan' ? kind : Buffer.from(request.migrations[0]?.sql ?? '').toString();
  hostile[text]?.();
  parentPort?.postMessage(text === 'broken' ? { broken: 'no idea' } : { done: { text, thread: threadId } });
});
parentPort?.postMessage({ ready: true });
