/** What PostgreSQL prints of an object before it went through a dump, and after. */
import { compareFingerprints, type Fingerprint } from './fingerprint.ts';

const names = String.raw`\([^()']*\)`;
const constant = String.raw`(?:ARRAY\[\]::[\w ."]+\[\]|-?\d+(?:\.\d+)?|true|false|CURRENT_TIMESTAMP(?:\(\d\))?|[\w.]+\(\)|nextval\('[^']*'::regclass\)|'(?:[^']|'')*'(?:::[\w ."]+(?:\(\d+(?:,\d+)?\))?(?:\[\])*)?)`;

/**
 * Facts whose text comes out of a dump and a restore as it went in: there is no expression in them that would be read and
 * printed anew, and a dump has them. Of others it is not certain.
 */
const certain: readonly (readonly [object: RegExp, text: RegExp])[] = [
  [/^(?:schema|enum|sequence|row security) /, /^/],
  [/^table /, /^(?:unlogged)?$/],
  [
    /^column /,
    new RegExp(
      `^(?:(?! default | stored as | virtual as )[^'])*(?: default ${constant})?(?: identity (?:always|by default))?$`,
    ),
  ],
  [
    /^index /,
    new RegExp(`^CREATE (?:UNIQUE )?INDEX [^'()]* ${names}(?: INCLUDE ${names})?(?: NULLS NOT DISTINCT)?$`),
  ],
  [
    /^constraint /,
    new RegExp(
      `^(?:(?:PRIMARY KEY|UNIQUE(?: NULLS NOT DISTINCT)?) ${names}|FOREIGN KEY ${names} REFERENCES [^'()]*${names}[^'()]*|NOT NULL [^'()]*)$`,
    ),
  ],
  // Up to its body, which is kept as it was written.
  [/^(?:function|procedure) /, /^(?:(?! DEFAULT | BEGIN ATOMIC)[\s\S])*?\nAS \$(?:function|procedure)\$/],
  [/^trigger /, /^(?!.* WHEN \()[^']*$/],
  [/^comment on (?:schema|table|table column|type|function|index|sequence) /, /^/],
];

/**
 * Whether all that is not as it was would be printed the same by a copy.
 * @param copied of a copy that has not been changed
 * @param changed of the same database, changed since then
 */
export const isDumpProof = (copied: Fingerprint, changed: Fingerprint): boolean =>
  compareFingerprints(copied, changed).every(
    ({ object, after }) =>
      after === null || certain.some(([kind, text]) => kind.test(object) && text.test(after)),
  );
