/** How COPY's text format writes fields: a NULL is `\N`; what begins with a backslash stands for another character. */

export const nullField = '\\N';

const letters: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' };

export const unescapeField = (field: string): string =>
  field.replaceAll(/\\([\s\S])/g, (_, letter: string) => letters[letter] ?? letter);

const special = /[\\\n\r\t]/;
const escapes: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' };

export const escapeField = (value: string): string =>
  special.test(value) ? value.replaceAll(/[\\\n\r\t]/g, (character) => escapes[character] ?? '') : value;

/** The value of one field; null for a NULL. */
export const textOfField = (field: string): string | null =>
  field === nullField ? null : field.includes('\\') ? unescapeField(field) : field;
