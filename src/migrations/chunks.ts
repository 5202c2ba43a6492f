import type { Step } from './segments.ts';

/** One message holds no more than this: the server parses it whole before it runs any of it. */
const chunkStatements = 100;
const chunkCharacters = 65_536;

/** What is sent in one message: brief statements together, any other on its own, so that it is seen to run. */
export function chunksOf(steps: readonly Step[], isApart: (step: Step) => boolean): Step[][] {
  const chunks: Step[][] = [[]];
  let characters = 0;
  const joins = (step: Step): boolean => step.brief && !isApart(step);
  for (const step of steps) {
    const chunk = chunks.at(-1) ?? [];
    characters += step.length;
    const fits =
      chunk.length < chunkStatements && characters <= chunkCharacters && joins(step) && chunk.every(joins);
    if (fits || chunk.length === 0) chunk.push(step);
    else {
      chunks.push([step]);
      characters = step.length;
    }
  }
  return chunks;
}
