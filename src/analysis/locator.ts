import { placeWithin, type Statement } from '../sql/split.ts';

/** Finds the place of a byte, which is how PostgreSQL's parser counts. */
export class Locator {
  readonly #text: string;
  #bytes: Buffer | null = null;

  constructor(text: string) {
    this.#text = text;
  }

  at(byte: number, within: Statement): { line: number; column: number } {
    this.#bytes ??= Buffer.from(this.#text);
    const offset =
      this.#bytes.length === this.#text.length ? byte : this.#bytes.toString('utf8', 0, byte).length;
    // In a recovered piece of a file bytes are counted from the piece's start.
    const inside = offset >= within.offset && offset <= within.offset + within.text.length;
    return inside ? placeWithin(within, offset - within.offset) : within;
  }
}
