import type { Step } from './segments.ts';

/** One message holds no more than this: the server parses it whole before it runs any of it. */
const chunkStatements = 100;
const chunkCharacters = 65_536;

/**
 * What is sent in one message: brief statements together, any other on its own, so that it is seen to run. Steps that are
 * set apart together are one chunk, however many.
 */
export function chunksOf(
  steps: readonly Step[],
  isApart: (step: Step) => boolean = () => false,
  areOne: (before: Step, step: Step) => boolean = () => false,
): Step[][] {
  const chunks: Step[][] = [[]];
  let characters = 0;
  const joins = (step: Step): boolean => (step.brief || step.addsRows) && !isApart(step);
  for (const step of steps) {
    const chunk = chunks.at(-1) ?? [];
    const before = chunk.at(-1);
    if (before !== undefined && areOne(before, step)) {
      chunk.push(step);
      continue;
    }
    characters += step.length;
    const fits =
      chunk.length < chunkStatements &&
      characters <= chunkCharacters &&
      joins(step) &&
      (before === undefined || joins(before));
    if (fits || chunk.length === 0) chunk.push(step);
    else {
      chunks.push([step]);
      characters = step.length;
    }
  }
  return chunks;
}
