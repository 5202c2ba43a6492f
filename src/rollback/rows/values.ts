/** One value of a type for each number: different ones for different numbers, as far as the type has so many. */
import type { Type, Types } from './catalogue.ts';

/** A text as an SQL literal. */
export const literal = (text: string): string =>
  text.includes('\\')
    ? `E'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`
    : `'${text.replaceAll("'", "''")}'`;

/**
 * An SQL expression, or null where none is known.
 * Texts are numbers, since these survive most of the casts that later migrations do.
 */
export function valueFor(types: Types, oid: number, modifier: number, n: number): string | null {
  const type = types.get(oid);
  if (type === undefined) return null;
  if (type.kind === 'd') return cast(valueFor(types, type.base, type.baseModifier, n), type);
  if (type.kind === 'e') return type.labels.length === 0 ? null : cast(literal(at(type.labels, n)), type);
  if (type.kind === 'r') return rangeOf(types, type, n);
  if (type.kind === 'm') {
    const range = valueFor(types, type.range, -1, n);
    return range === null ? null : `${type.sqlName}(${range})`;
  }
  if (type.kind === 'c') return compositeOf(types, type, n);
  if (type.category === 'A' && type.element !== 0) {
    const element = valueFor(types, type.element, modifier, n);
    return element === null ? null : cast(`array[${element}]`, type);
  }
  const text = textOf(type.name, modifier, n);
  return text === null ? null : cast(literal(text), type);
}

const at = <T>(list: readonly T[], n: number): T => list[n % list.length] as T;

const cast = (expression: string | null, type: Type): string | null =>
  expression === null ? null : `${expression}::${type.sqlName}`;

function rangeOf(types: Types, type: Type, n: number): string | null {
  // Ranges of neighbouring numbers do not overlap, for exclusion constraints.
  const [from, to] = [2 * n, 2 * n + 1].map((bound) => valueFor(types, type.subtype, -1, bound));
  return from == null || to == null ? null : `${type.sqlName}(${from}, ${to})`;
}

function compositeOf(types: Types, type: Type, n: number): string | null {
  const parts = type.attributes.map(
    (attribute) => valueFor(types, attribute.type, attribute.modifier, n) ?? 'null',
  );
  return cast(`row(${parts.join(', ')})`, type);
}

const first = 1001;

/** The input of a base type, by the type's name. */
function textOf(name: string, modifier: number, n: number): string | null {
  const number = String(first + n);
  const [hex, day] = [(n + 16).toString(16), String((n % 28) + 1).padStart(2, '0')];
  const month = String((Math.floor(n / 28) % 12) + 1).padStart(2, '0');
  const byName: Readonly<Record<string, () => string>> = {
    int2: () => number,
    int4: () => number,
    int8: () => number,
    oid: () => number,
    xid: () => number,
    xid8: () => number,
    float4: () => number,
    float8: () => number,
    money: () => number,
    numeric: () => numericOf(modifier, n),
    bool: () => (n % 2 === 0 ? 'true' : 'false'),
    text: () => number,
    citext: () => number,
    name: () => number,
    varchar: () => fitted(number, modifier - 4),
    bpchar: () => fitted(number, modifier - 4),
    char: () => 'abcdefghij'.charAt(n % 10),
    uuid: () => `00000000-0000-4000-8000-${number.padStart(12, '0')}`,
    date: () => `2024-${month}-${day}`,
    timestamp: () => `2024-${month}-${day} 12:00:00`,
    timestamptz: () => `2024-${month}-${day} 12:00:00+00`,
    time: () => `12:00:${day}`,
    timetz: () => `12:00:${day}+00`,
    interval: () => `${n + 1} days`,
    json: () => `{"n": ${n}}`,
    jsonb: () => `{"n": ${n}}`,
    jsonpath: () => `$.a${n}`,
    bytea: () => `\\x${hex}`,
    xml: () => `<n>${n}</n>`,
    inet: () => `10.0.0.${(n % 250) + 1}`,
    cidr: () => `10.0.${n % 250}.0/24`,
    macaddr: () => `08:00:2b:01:02:${hex.slice(-2)}`,
    macaddr8: () => `08:00:2b:01:02:03:04:${hex.slice(-2)}`,
    bit: () => bits(n, Math.max(modifier, 1)),
    varbit: () => bits(n, modifier > 0 ? modifier : 8),
    tsvector: () => `word${n}`,
    tsquery: () => `word${n}`,
    point: () => `(${n},1)`,
    line: () => `{1,-1,${n}}`,
    lseg: () => `[(${n},0),(${n},1)]`,
    box: () => `(${2 * n + 1},1),(${2 * n},0)`,
    path: () => `[(${n},0),(${n},1)]`,
    polygon: () => `((${n},0),(${n},1),(${n + 1},0))`,
    circle: () => `<(${3 * n},0),1>`,
    pg_lsn: () => `0/${hex}`,
    hstore: () => `n=>${n}`,
    ltree: () => `top.n${n}`,
    lquery: () => `*.n${n}`,
    ltxtquery: () => `n${n}`,
    cube: () => `(${n},1)`,
    seg: () => `${n}`,
    vector: () => `[${Array.from({ length: Math.max(modifier, 1) }, () => n + 1).join(',')}]`,
    halfvec: () => `[${Array.from({ length: Math.max(modifier, 1) }, () => n + 1).join(',')}]`,
    geometry: () => `POINT(${n} 1)`,
    geography: () => `POINT(${n} 1)`,
  };
  return byName[name]?.() ?? null;
}

const fitted = (text: string, length: number): string => (length > 0 ? text.slice(-length) : text);

const bits = (n: number, length: number): string => n.toString(2).padStart(length, '0').slice(-length);

/** The modifier holds precision and scale. */
function numericOf(modifier: number, n: number): string {
  if (modifier < 4) return String(first + n);
  const [precision, scale] = [((modifier - 4) >> 16) & 0xffff, (modifier - 4) & 0x7ff];
  const digits = precision - scale;
  return digits > 0
    ? fitted(String(first + n), digits)
    : `0.${'0'.repeat(Math.max(scale - 1, 0))}${(n % 9) + 1}`;
}
