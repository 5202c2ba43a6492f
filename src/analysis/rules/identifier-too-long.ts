import type { Change, NewColumn, NewConstraint } from '../changes/change.ts';
import { defineRule } from '../define-rule.ts';

const longest = 63;

export const identifierTooLong = defineRule({
  id: 'identifier-too-long',
  severity: 'notice',
  effect: null,
  summary: 'An identifier of more than 63 bytes',
  why: 'PostgreSQL cuts it to 63 bytes and only says so in a notice. Two that differ behind that then collide: the second statement fails, or with IF NOT EXISTS does nothing.',
  peers: ['squawk: identifier-too-long'],
  checkMigration({ changes }) {
    const cut = new Map<string, string>();
    return changes.flatMap(({ change, statement: { text, line, column } }) =>
      namesOf(change).flatMap((short) => {
        const name = writtenName(short, text);
        const other = cut.get(short);
        if (name === null || other === name) return [];
        cut.set(short, name);
        return [
          {
            line,
            column,
            severity: other === undefined ? ('notice' as const) : ('caution' as const),
            message:
              other === undefined
                ? `"${name}" has ${Buffer.byteLength(name)} bytes; PostgreSQL cuts it to "${short}".`
                : `"${name}" and "${other}" are the same for PostgreSQL, which cuts both to "${short}".`,
            remedy: 'Choose a name of at most 63 bytes (in Prisma’s schema file by `map:`).',
          },
        ];
      }),
    );
  },
});

/** The parser has cut the name already: what stands in the text, where that is longer. */
function writtenName(short: string, text: string): string | null {
  // It cuts between characters, of which the longest have four bytes.
  if (short.length * 4 < longest - 3 || Buffer.byteLength(short) < longest - 3) return null;
  const start = text.indexOf(short);
  const rest = start === -1 ? '' : text.slice(start + short.length);
  const more = text[start - 1] === '"' ? /^[^"]+/.exec(rest) : /^[\w$\u0080-\uffff]+/.exec(rest);
  return more === null ? null : short + more[0];
}

/** The names that a change gives to something. */
function namesOf(change: Change): string[] {
  switch (change.kind) {
    case 'createTable':
      return [change.name, ...change.columns.flatMap(namesOfColumn), ...change.constraints.flatMap(nameOf)];
    case 'addColumn':
      return namesOfColumn(change.column);
    case 'addConstraint':
      return nameOf(change.constraint);
    case 'createIndex':
    case 'createType':
    case 'createView':
    case 'createFunction':
    case 'createTrigger':
      return [change.name];
    case 'renameTable':
    case 'renameColumn':
    case 'renameConstraint':
    case 'renameIndex':
    case 'renameType':
      return [change.to];
    default:
      return [];
  }
}

const namesOfColumn = ({ name, constraints }: NewColumn): string[] => [name, ...constraints.flatMap(nameOf)];
/** A name of PostgreSQL's own choice fits. */
const nameOf = ({ name, named }: NewConstraint): string[] => (named ? [name] : []);
