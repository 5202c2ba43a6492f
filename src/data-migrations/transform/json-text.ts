/** What JSON text loses on its way through JavaScript. */

/** Text in which a number may be written otherwise than JavaScript writes it. */
const doubtful = /[\d.]{16}|\.\d*0(?!\d)|\d[eE]/;

/** Whether text that was only parsed and printed again might mean something else. */
export const mayChange = (text: string): boolean => doubtful.test(text);

/** Whether it holds a number with more digits than JavaScript's numbers have. */
export function hasInexactNumber(text: string): boolean {
  const bare = text.replaceAll(/"(?:[^"\\]|\\[\s\S])*"/g, '""');
  return (bare.match(/-?\d[\d.eE+-]*/g) ?? []).some(isInexact);
}

function isInexact(written: string): boolean {
  const number = Number(written);
  const digits = (written.split(/[eE]/, 1)[0] ?? '')
    .replaceAll(/\D/g, '')
    .replace(/^0+/, '')
    .replace(/0+$/, '');
  if (!Number.isFinite(number) || (number === 0 && digits !== '')) return true;
  return digits.length > 15 && String(number) !== written;
}
