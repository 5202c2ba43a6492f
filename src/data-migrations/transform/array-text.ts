/** PostgreSQL's text of arrays: `{1,NULL,"a,b"}`, and nested `{{1},{2}}`. */

export type Nested<Item> = (Item | null | Nested<Item>)[];

/** @param text as PostgreSQL prints it; lower bounds (`[0:1]={…}`) are left aside */
export function parseArray<Item>(text: string, parse: (item: string) => Item): Nested<Item> {
  const begin = text.startsWith('[') ? text.indexOf('{') : 0;
  return new ArrayReader(text, begin + 1, parse).list();
}

class ArrayReader<Item> {
  readonly #text: string;
  readonly #parse: (item: string) => Item;
  #at: number;

  constructor(text: string, at: number, parse: (item: string) => Item) {
    this.#text = text;
    this.#at = at;
    this.#parse = parse;
  }

  /** From behind a `{` to behind its `}`. */
  list(): Nested<Item> {
    const items: Nested<Item> = [];
    for (;;) {
      const next = this.#text[this.#at];
      if (next === '}' || next === undefined) {
        this.#at += 1;
        return items;
      }
      if (next === ',') this.#at += 1;
      else if (next === '{') {
        this.#at += 1;
        items.push(this.list());
      } else if (next === '"') items.push(this.#parse(this.#quoted()));
      else {
        const word = this.#word();
        items.push(word === 'NULL' ? null : this.#parse(word));
      }
    }
  }

  #word(): string {
    const from = this.#at;
    while (!/[,}]/.test(this.#text[this.#at] ?? '}')) this.#at += 1;
    return this.#text.slice(from, this.#at);
  }

  #quoted(): string {
    const from = this.#at + 1;
    let to = from;
    while (this.#text[to] !== '"') to += this.#text[to] === '\\' ? 2 : 1;
    this.#at = to + 1;
    return this.#text.slice(from, to).replaceAll(/\\([\s\S])/g, '$1');
  }
}

/**
 * As PostgreSQL would print it.
 * @param print throws where an item is none of the array's type
 */
export function printArray(items: readonly unknown[], print: (item: unknown) => string): string {
  const printed = items.map((item) => {
    if (item === null) return 'NULL';
    if (Array.isArray(item)) return printArray(item, print);
    const text = print(item);
    return needsQuotes(text) ? `"${text.replaceAll(/["\\]/g, '\\$&')}"` : text;
  });
  return `{${printed.join(',')}}`;
}

const needsQuotes = (text: string): boolean => text === '' || /^null$/i.test(text) || /[{}",\\\s]/.test(text);
