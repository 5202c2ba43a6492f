import { defineRule } from '../define-rule.ts';

const longest = 63;

export const identifierTooLong = defineRule({
  id: 'identifier-too-long',
  severity: 'notice',
  effect: null,
  summary: 'An identifier of more than 63 bytes',
  why: 'PostgreSQL cuts it to 63 bytes and only says so in a notice. Two that differ behind that then collide: the second statement fails, or with IF NOT EXISTS does nothing.',
  peers: ['squawk: identifier-too-long', 'Atlas: NM101', 'Bytebase: naming: table'],
  checkMigration({ statements }) {
    const cut = new Map<string, string>();
    return statements.flatMap(({ text, line, column }) =>
      [...text.matchAll(/"((?:[^"]|"")+)"/g)].flatMap(([, name = '']) => {
        if (Buffer.byteLength(name) <= longest || cut.get(shortened(name)) === name) return [];
        const other = cut.get(shortened(name));
        cut.set(shortened(name), name);
        return [
          {
            line,
            column,
            severity: other === undefined ? ('notice' as const) : ('caution' as const),
            message:
              other === undefined
                ? `"${name}" has ${Buffer.byteLength(name)} bytes; PostgreSQL cuts it to "${shortened(name)}".`
                : `"${name}" and "${other}" are the same for PostgreSQL, which cuts both to "${shortened(name)}".`,
            remedy: 'Choose a name of at most 63 bytes (in Prisma’s schema file by `map:`).',
          },
        ];
      }),
    );
  },
});

const shortened = (name: string): string =>
  Buffer.from(name)
    .subarray(0, longest)
    .toString('utf8')
    .replace(/\uFFFD$/, '');
