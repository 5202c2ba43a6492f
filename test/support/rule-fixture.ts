/** Reads what stands under test/fixtures/rules; its README has the form. */
import { type Analysis, analyse } from '../../src/analysis/analyse.ts';
import type { Facts } from '../../src/analysis/facts.ts';
import { readPrismaSchema } from '../../src/analysis/prisma-schema.ts';
import { Schema } from '../../src/analysis/schema/schema.ts';
import { walkStatement } from '../../src/analysis/walk.ts';
import { checksum } from '../../src/migrations/checksum.ts';
import { splitStatements } from '../../src/sql/split.ts';

export interface FixtureMigration {
  readonly name: string;
  readonly sql: string;
  /** Rules by line. */
  readonly expected: ReadonlyMap<number, readonly string[]>;
}

export interface Fixture {
  readonly migrations: readonly FixtureMigration[];
  readonly expectedOfFolder: readonly string[];
  readonly ignored: readonly string[];
  readonly lockFile: string | null;
  readonly history: readonly { readonly name: string; readonly state: 'same' | 'edited' | 'deleted' }[];
  readonly previous: string | null;
  readonly rows: ReadonlyMap<string, number>;
  /** Null where no figures are given. */
  readonly version: number | null;
}

const directive =
  /^\s*-- (expect|expect-file|expect-folder|migration|ignore|lock|history|previous|rows|version):(?: (.*))?$/;
const atTop = new Set(['ignore', 'lock', 'history', 'previous', 'rows', 'version']);

export function readFixture(text: string): Fixture {
  const reader = new Reader();
  for (const line of text.split('\n')) {
    const [, word, value = ''] = directive.exec(line) ?? [];
    if (word === undefined) reader.line(line);
    else reader.directive(word, value);
  }
  return reader.done();
}

class Reader {
  readonly #migrations: { name: string; lines: string[]; expected: Map<number, string[]> }[] = [];
  readonly #ofFolder: string[] = [];
  readonly #ignored: string[] = [];
  readonly #history: Fixture['history'][number][] = [];
  readonly #previous: string[] = [];
  readonly #rows = new Map<string, number>();
  #lockFile: string | null = 'provider = "postgresql"\n';
  #version: number | null = null;
  #pending: string[] = [];

  directive(word: string, value: string): void {
    if (atTop.has(word) && this.#migrations.length > 0) throw new Error(`-- ${word}: belongs to the top`);
    const [first = '', second = ''] = value.split(' ');
    switch (word) {
      case 'expect':
        this.#pending.push(...listOf(value));
        break;
      case 'expect-file':
        this.#expect(1, listOf(value));
        break;
      case 'expect-folder':
        this.#ofFolder.push(...listOf(value));
        break;
      case 'migration':
        this.#settle();
        this.#migrations.push({ name: value, lines: [], expected: new Map() });
        break;
      case 'ignore':
        this.#ignored.push(...listOf(value));
        break;
      case 'lock':
        this.#lockFile = value === 'missing' ? null : `provider = "${value}"\n`;
        break;
      case 'history':
        this.#history.push({ name: first, state: stateOf(second) });
        break;
      case 'previous':
        this.#previous.push(value);
        break;
      case 'rows':
        this.#rows.set(first, Number(second));
        this.#version ??= 15;
        break;
      default:
        this.#version = Number(value);
    }
  }

  line(line: string): void {
    const blank = line.trim() === '';
    if (blank && (this.#migrations.at(-1)?.lines ?? []).length === 0) return;
    const { lines } = this.#current();
    lines.push(line);
    // A comment that allows something can be at fault itself.
    const comment = line.trimStart().startsWith('--') && !line.includes('switchback:');
    if (blank || comment) return;
    this.#expect(lines.length, this.#pending);
    this.#pending = [];
  }

  done(): Fixture {
    this.#settle();
    return {
      migrations: this.#migrations.map(({ name, lines, expected }) => ({
        name,
        sql: lines.length === 0 ? '' : `${lines.join('\n').trimEnd()}\n`,
        expected,
      })),
      expectedOfFolder: this.#ofFolder,
      ignored: this.#ignored,
      lockFile: this.#lockFile,
      history: this.#history,
      previous: this.#previous.length === 0 ? null : this.#previous.join('\n'),
      rows: this.#rows,
      version: this.#version,
    };
  }

  #current(): { lines: string[]; expected: Map<number, string[]> } {
    if (this.#migrations.length === 0)
      this.#migrations.push({ name: '20240101000000_first', lines: [], expected: new Map() });
    return this.#migrations.at(-1) as never;
  }

  #expect(line: number, rules: readonly string[]): void {
    if (rules.length === 0) return;
    const { expected } = this.#current();
    expected.set(line, [...(expected.get(line) ?? []), ...rules]);
  }

  #settle(): void {
    if (this.#pending.length > 0) throw new Error(`nothing follows -- expect: ${this.#pending.join(', ')}`);
  }
}

const listOf = (value: string): string[] => value.split(',').map((part) => part.trim());

function stateOf(word: string): 'same' | 'edited' | 'deleted' {
  if (word === '') return 'same';
  if (word === 'edited' || word === 'deleted') return word;
  throw new Error(`"${word}" is no state of a migration in the history`);
}

/** All rules over a fixture. With a database's figures, what stands before the last migration is in that database. */
export function analyseFixture(fixture: Fixture): Analysis {
  const { version, lockFile, previous } = fixture;
  const all = fixture.migrations.map(({ name, sql }) => {
    const bytes = Buffer.from(sql);
    return { name, sql: bytes, checksum: checksum(bytes) };
  });
  return analyse({
    migrations: version === null ? all : all.slice(-1),
    ...(version === null ? {} : { facts: factsOf(fixture, version), schema: schemaBefore(fixture) }),
    previous: previous === null ? null : readPrismaSchema(previous),
    lockFile,
    history:
      fixture.history.length === 0
        ? null
        : {
            applied: fixture.history.map(({ name, state }) => ({
              name,
              checksum: state === 'same' ? (all.find((one) => one.name === name)?.checksum ?? '') : '0',
            })),
          },
  });
}

const factsOf = ({ rows }: Fixture, version: number): Facts => ({
  serverVersion: version * 10_000,
  timeZone: 'UTC',
  tables: new Map(
    [...rows].map(([table, count]) => [
      `public.${table}`,
      { rows: count, bytes: count * 200, indexBytes: count * 40, reads: 0, writes: 0 },
    ]),
  ),
});

function schemaBefore({ migrations }: Fixture): Schema {
  const schema = new Schema({ defaultSchema: 'public', complete: true });
  for (const { sql } of migrations.slice(0, -1))
    for (const statement of splitStatements(sql)) walkStatement(statement, schema, -1, () => undefined);
  return schema;
}

/** What was expected and what fired, each as `<migration>:<line> <rule>`; but for notices that are ignored. */
export function compareFixture(fixture: Fixture): { readonly expected: string[]; readonly fired: string[] } {
  const analysis = analyseFixture(fixture);
  const counts = ({ rule, severity, suppressed }: Analysis['violations'][number]): boolean =>
    suppressed === undefined && !(severity === 'notice' && fixture.ignored.includes(rule));
  const fired = [
    ...analysis.violations.filter(counts).map(({ rule }) => `the folder ${rule}`),
    ...analysis.migrations.flatMap(({ name, violations }) =>
      violations.filter(counts).map(({ rule, line }) => `${name}:${line} ${rule}`),
    ),
  ];
  const expected = [
    ...fixture.expectedOfFolder.map((rule) => `the folder ${rule}`),
    ...fixture.migrations.flatMap(({ name, expected: lines }) =>
      [...lines].flatMap(([line, rules]) => rules.map((rule) => `${name}:${line} ${rule}`)),
    ),
  ];
  return { expected: [...new Set(expected)].sort(), fired: [...new Set(fired)].sort() };
}

const stateTexts = { same: '', edited: ', as it was before it was edited', deleted: ', which is deleted' };

/** A fixture as a reader of the documentation sees it: without directives, each migration under its name. */
export function showFixture(text: string): string {
  const { migrations, previous, lockFile, history } = readFixture(text);
  const several = migrations.length > 1 || /^-- migration:/m.test(text);
  return [
    ...(lockFile === null ? ['-- migration_lock.toml is missing'] : []),
    ...(lockFile !== null && !lockFile.includes('postgresql')
      ? [`-- migration_lock.toml: ${lockFile.trim()}`]
      : []),
    ...(previous === null
      ? []
      : [`-- schema.prisma of the previous release:\n${previous.replace(/^/gm, '--   ')}`]),
    ...(history.length === 0
      ? []
      : [
          [
            '-- what the database holds as applied, in this order:',
            ...history.map(({ name, state }) => `--   ${name}${stateTexts[state]}`),
          ].join('\n'),
        ]),
    ...migrations.map(({ name, sql }) =>
      several ? `-- ${name}/migration.sql\n${sql.trimEnd()}` : sql.trimEnd(),
    ),
  ]
    .join('\n\n')
    .trimEnd();
}
