/** Text out of files for a terminal: what would command it is spelled out, and cells are counted. */

/** Control, format (bidirectional overrides too) and separator characters, half surrogates. Joiners of emoji are not. */
const unsafe = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u;
const joiners = new Set(['\u200c', '\u200d']);
const nothing = /^[\p{Mn}\p{Me}\u200c\u200d]$/u;
const wide =
  /^[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1b000}-\u{1b2ff}\u{20000}-\u{3fffd}\p{Emoji_Presentation}]$/u;

/** One character as it is shown; a tab is its caller's business. */
export function visibleCharacter(character: string): string {
  if (!unsafe.test(character) || joiners.has(character)) return character;
  const code = character.codePointAt(0) ?? 0;
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
}

/** A text on one line, a tab as a space. */
export const visible = (text: string): string =>
  unsafe.test(text) ? Array.from(text.replaceAll('\t', ' '), visibleCharacter).join('') : text;

/** A text of several lines. */
export const visibleLines = (text: string): string[] => text.split(/\r?\n/).map(visible);

/** Cells that what `visible` gives takes on a terminal. */
export function cells(text: string): number {
  let count = 0;
  for (const character of text) count += nothing.test(character) ? 0 : wide.test(character) ? 2 : 1;
  return count;
}

/** Breaks words into lines of at most so many cells; a longer word has a line of its own. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  let used = 0;
  for (const word of text.split(/\s+/).filter((part) => part !== '')) {
    const length = cells(word);
    if (line !== '' && used + 1 + length > width) {
      lines.push(line);
      line = '';
      used = 0;
    }
    used += line === '' ? length : length + 1;
    line = line === '' ? word : `${line} ${word}`;
  }
  return line === '' ? lines : [...lines, line];
}
