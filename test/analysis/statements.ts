/** Statements over a few names, so that they meet: many fail, the others make what is hard to foresee. */
import fc from 'fast-check';

const pick = (...texts: string[]): fc.Arbitrary<string> => fc.constantFrom(...texts);
const maybe = (text: string): fc.Arbitrary<string> => fc.constantFrom('', text);
const one = (parts: readonly (string | fc.Arbitrary<string>)[]): fc.Arbitrary<string> =>
  fc
    .tuple(...parts.map((part) => (typeof part === 'string' ? fc.constant(part) : part)))
    .map((texts) => texts.join('').replace(/ +/g, ' ').trim());
const sql = (texts: TemplateStringsArray, ...parts: fc.Arbitrary<string>[]): fc.Arbitrary<string> =>
  one(texts.flatMap((text, index) => (parts[index] === undefined ? [text] : [text, parts[index]])));

const table = pick('a', '"B"', 'c', 's.d');
const column = pick('k', 'm', '"N"', 'o');
const type = pick(
  'int',
  'bigint',
  'text',
  'varchar(9)',
  'varchar',
  'numeric(8)',
  'timestamp(3)',
  'mood',
  'int[]',
  'dom',
);
const constraint = pick('con', '"Con"', 'a_k_fkey', 'c_m_key', 'a_pkey');
const index = pick('idx', 'a_k_idx', '"Idx"');
const value = pick('1', "'1'", 'null', "'calm'", 'now()');
const cascade = maybe(' cascade');
const action = fc.oneof(
  sql`add column ${maybe('if not exists ')}${column} ${type} ${pick('', '', 'not null', 'default 1', 'unique', 'primary key', 'references a', 'check (k > 0)', 'generated always as identity')}`,
  sql`drop column ${maybe('if exists ')}${column}${cascade}`,
  sql`alter ${column} type ${type}${maybe(' using null')}`,
  sql`alter ${column} ${pick('set not null', 'drop not null', 'drop default', 'drop identity if exists')}`,
  sql`alter ${column} set default ${value}`,
  sql`add ${pick('', 'constraint con ', 'constraint "Con" ')}${pick('unique', 'primary key')} (${column})`,
  sql`add unique (${column}, ${column})`,
  sql`add ${pick('', 'constraint con ')}check (${column} > ${column})${maybe(' not valid')}`,
  sql`add ${pick('', 'constraint con ')}foreign key (${column}) references ${table}${pick('', ' (k)', ' (m)')}${maybe(' not valid')}`,
  sql`drop constraint ${maybe('if exists ')}${constraint}${cascade}`,
  sql`validate constraint ${constraint}`,
);

export const statement = fc.oneof(
  sql`create table ${maybe('if not exists ')}${table} (k int ${pick('', 'primary key', 'unique', 'not null', 'primary key unique')}, m ${type} ${pick('', 'default null', 'unique', 'check (m is not null)')}, "N" int${pick('', ', unique (k, "N")', ', check (k > "N")', ', foreign key ("N") references a', ', constraint con check ("N" > 0)')})`,
  sql`create table ${table} (like ${table}${pick('', ' including constraints including defaults')})`,
  sql`create table ${table} (p text) inherits (${table})`,
  { weight: 12, arbitrary: sql`alter table ${table} ${action}` },
  { weight: 3, arbitrary: sql`alter table ${table} ${action}, ${action}` },
  sql`alter table ${table} rename to ${pick('a', '"B"', 'c', 'd')}`,
  { weight: 2, arbitrary: sql`alter table ${table} rename column ${column} to ${column}` },
  sql`alter table ${table} rename constraint ${constraint} to ${constraint}`,
  sql`alter table ${table} set schema ${pick('s', 'public')}`,
  sql`drop table ${maybe('if exists ')}${table}${cascade}`,
  {
    weight: 4,
    arbitrary: sql`create ${maybe('unique ')}index ${fc.oneof(index, pick('', ''))} on ${table} (${pick('k', 'm', '"N", k', 'lower(m::text)', '(k + 1), m')})${pick('', '', ' where k > 1', ' where o is null')}`,
  },
  sql`alter index ${index} rename to ${index}`,
  sql`drop index ${maybe('if exists ')}${index}`,
  sql`create type ${pick('mood', 's.mood')} as enum ('calm', 'sad')`,
  sql`create domain dom as ${pick('int', 'text', 'mood')} ${pick('', 'not null', 'check (value is not null)')}`,
  sql`alter type mood ${pick("add value 'glad'", "add value if not exists 'sad'", "rename value 'calm' to 'cool'", 'rename to feeling')}`,
  sql`alter type feeling rename to mood`,
  sql`drop type ${pick('mood', 'feeling', 'dom')}${cascade}`,
  sql`alter schema ${pick('s rename to z', 'z rename to s')}`,
  sql`set search_path = ${pick('public', 's, public', 'public, s')}`,
  sql`create or replace function f() returns int language sql ${pick('', 'stable', 'immutable')} as 'select 1'`,
);
