import { createHash } from 'node:crypto';
import { stripVTControlCharacters } from 'node:util';
import { beforeAll, describe, expect, test } from 'vitest';
import { analyse } from '../../src/analysis/analyse.ts';
import { defineRule } from '../../src/analysis/define-rule.ts';
import { divisions } from '../../src/analysis/divisions.ts';
import { toJson } from '../../src/analysis/reports/json.ts';
import { type MarkdownOptions, toMarkdown } from '../../src/analysis/reports/markdown.ts';
import { code, words } from '../../src/analysis/reports/markdown-text.ts';
import { remedyParts } from '../../src/analysis/reports/remedy.ts';
import { makeReport, type Report } from '../../src/analysis/reports/report.ts';
import { type SarifOptions, toSarif } from '../../src/analysis/reports/sarif.ts';
import { type TerminalOptions, toTerminal } from '../../src/analysis/reports/terminal.ts';
import { effects, type Violation, verdictOf, worst } from '../../src/analysis/violation.ts';
import { loadParser } from '../../src/sql/parse.ts';
import { splitOrRecover } from '../../src/sql/recover.ts';

beforeAll(loadParser);

interface Written {
  readonly name: string;
  readonly sql?: string;
  readonly violations?: readonly Partial<Violation>[];
}

const aViolation: Violation = {
  rule: 'a-rule',
  severity: 'caution',
  effect: null,
  table: null,
  line: 1,
  column: 1,
  message: 'It happens.',
  remedy: null,
};

/** A report that says just this. */
function reportOf(written: readonly Written[], folder: readonly Partial<Violation>[] = []): Report {
  const migrations = written.map(({ name, sql = '', violations = [] }) => {
    const full = violations.map((part) => ({ ...aViolation, ...part }));
    return {
      name,
      verdict: verdictOf(full),
      effects: effects.filter((effect) => full.some((one) => one.effect === effect)),
      violations: full,
      statements: splitOrRecover(sql).statements.map(({ line, column, text }) => ({
        line,
        column,
        text,
        verdict: 'safe' as const,
        locks: [],
      })),
      divisions: divisions(splitOrRecover(sql)),
      foreignKeys: 0,
    };
  });
  const own = folder.map((part) => ({ ...aViolation, ...part }));
  return makeReport({
    analysis: {
      verdict: worst([...migrations.map(({ verdict }) => verdict), verdictOf(own)]),
      migrations,
      violations: own,
      basis: { facts: false, previousSchema: true },
    },
    migrations: written.map(({ name, sql = '' }) => ({ name, sql })),
    lockFile: 'provider = "postgresql"\n',
  });
}

/** One migration, one violation. */
const one = (violation: Partial<Violation>, sql = 'drop table "T";', name = '20250101000000_a'): Report =>
  reportOf([{ name, sql, violations: [violation] }]);

const dropsTables = defineRule({
  id: 'test-drops-tables',
  severity: 'dangerous',
  effect: 'dataLoss',
  summary: 'DROP TABLE',
  why: 'The rows are gone.',
  peers: [],
  on: ['dropTable'],
  check: ({ table }) => ({ table, message: 'Its rows are lost.', remedy: 'Keep it.' }),
});

test('of the analyser, with a byte order mark and a comment that allows', () => {
  const sql = Buffer.from(
    [
      '\uFEFFdrop table t;',
      '-- switchback: allow test-drops-tables: nobody knew it',
      'drop table u;',
      '',
    ].join('\n'),
  );
  const migrations = [
    { name: '20250101000000_a', sql, checksum: createHash('sha256').update(sql).digest('hex') },
  ];
  const analysis = analyse({ migrations, customRules: [dropsTables] });
  const report = makeReport({ analysis, migrations });
  const found = toJson(report).migrations[0]?.violations.filter(({ rule }) => rule === dropsTables.id);
  expect(found).toMatchObject([
    { line: 1, column: 1, table: 'public.t' },
    { line: 3, column: 1, table: 'public.u', suppressed: 'nobody knew it' },
  ]);
  expect(toTerminal(report, { colour: false, width: 80 })).toContain('1 | drop table t;\n  | ^^^^^^^^^^^^\n');
});

describe('JSON', () => {
  const report = (): Report =>
    reportOf(
      [
        {
          name: 'a',
          sql: 'select 1;',
          violations: [{ suppressed: 'because' }, { severity: 'notice', rule: 'an-opinion' }],
        },
      ],
      [{ rule: 'of-the-folder', severity: 'dangerous' }],
    );

  test('its keys stand in their order', () => {
    const json = toJson(report());
    expect(Object.keys(json)).toEqual(['verdict', 'migrations', 'violations', 'summary', 'quality', 'basis']);
    const [migration] = json.migrations;
    expect(Object.keys(migration ?? {})).toEqual(['name', 'verdict', 'effects', 'violations', 'statements']);
    const keys = ['rule', 'severity', 'effect', 'table', 'line', 'column', 'message', 'remedy'];
    expect(Object.keys(migration?.violations[0] ?? {})).toEqual([...keys, 'suppressed']);
    expect(Object.keys(json.violations[0] ?? {})).toEqual(keys);
    expect(Object.keys(migration?.statements[0] ?? {})).toEqual(['line', 'column', 'verdict', 'locks']);
    expect(json.basis).toEqual({ facts: false, previousSchema: true });
    expect(json.verdict).toBe('dangerous');
  });

  test('opinions are left out unless they are asked for', () => {
    expect(toJson(report()).migrations[0]?.violations).toHaveLength(1);
    const [, opinion] = toJson(report(), { notices: true }).migrations[0]?.violations ?? [];
    expect(opinion?.rule).toBe('an-opinion');
  });

  test('it holds no text of a statement, and each lock once', () => {
    const base = reportOf([{ name: 'a', sql: "insert into t values ('secret');" }]);
    const lock = { table: 'public.t', mode: 'ACCESS EXCLUSIVE' } as const;
    const locked: Report = {
      ...base,
      analysis: {
        ...base.analysis,
        migrations: base.analysis.migrations.map((migration) => ({
          ...migration,
          statements: migration.statements.map((statement) => ({ ...statement, locks: [lock, { ...lock }] })),
        })),
      },
    };
    const json = toJson(locked);
    expect(JSON.stringify(json)).not.toContain('secret');
    expect(json.migrations[0]?.statements).toEqual([{ line: 1, column: 1, verdict: 'safe', locks: [lock] }]);
  });
});

describe('what of a remedy is SQL', () => {
  test.each<[string, [boolean, string][]]>([
    ['Remove the comment.', [[false, 'Remove the comment.']]],
    ['Drop it when no release has it.', [[false, 'Drop it when no release has it.']]],
    ['SELECT 1;', [[true, 'SELECT 1;']]],
    [
      'First do this: DROP TABLE t;',
      [
        [false, 'First do this:'],
        [true, 'DROP TABLE t;'],
      ],
    ],
    [
      'In one of its own: create index CONCURRENTLY i on t (a);',
      [
        [false, 'In one of its own:'],
        [true, 'create index CONCURRENTLY i on t (a);'],
      ],
    ],
    [
      'ALTER TABLE t ADD a int; -- no default\n-- then:\nSELECT 1;',
      [[true, 'ALTER TABLE t ADD a int; -- no default\n-- then:\nSELECT 1;']],
    ],
    [
      'CREATE TABLE t (\n  a int\n);\nThen wait.',
      [
        [true, 'CREATE TABLE t (\n  a int\n);'],
        [false, 'Then wait.'],
      ],
    ],
  ])('%j', (remedy, parts) => {
    expect(remedyParts(remedy).map(({ sql, text }) => [sql, text])).toEqual(parts);
  });
});

describe('Markdown', () => {
  const markdown = (report: Report, options?: MarkdownOptions): string => toMarkdown(report, options);

  test('the verdict and the counts come first, a row for each migration next', () => {
    const text = markdown(
      reportOf([
        { name: 'a' },
        {
          name: 'b',
          violations: [{ severity: 'dangerous', effect: 'dataLoss' }, { suppressed: 'why not' }],
        },
      ]),
    );
    expect(text.split('\n')[0]).toBe('## Migrations: dangerous');
    expect(text).toContain('2 migrations: 1 dangerous, 1 safe. 1 violation, 1 more allowed by a comment.');
    expect(text).toContain('| `a` | safe |  | 0 |\n| `b` | **dangerous** | data loss | 1 (and 1 allowed) |');
  });

  test('a section for what is not safe, and for what is allowed, with all that is known', () => {
    const text = markdown(
      reportOf(
        [
          { name: 'fine' },
          {
            name: 'bad',
            violations: [{ line: 12, message: 'All wait.', remedy: 'Better: SELECT 1;' }],
          },
          { name: 'allowed', violations: [{ rule: 'other', suppressed: 'it is empty' }] },
        ],
        [{ message: 'No lock file.' }],
      ),
    );
    expect(text).not.toContain('### `fine`');
    expect(text).toContain('### The folder\n\n**caution** · `a-rule`: No lock file.');
    expect(text).toContain(
      '### `bad`: caution\n\n**caution** · line 12 · `a-rule`: All wait.\n\nInstead: Better:\n\n```sql\nSELECT 1;\n```',
    );
    expect(text).toContain(
      '### `allowed`: safe\n\n**allowed** · line 1 · `other`: It happens.\n\nReason: it is empty',
    );
    expect(text).toMatch(/<details>\n<summary>.*\n\n\|[\s\S]*\| atomic \| yes \|[\s\S]*<\/details>\n$/);
  });

  test('rules are linked where it is known whereto', () => {
    const text = markdown(one({}), { ruleUrl: (rule) => `https://example.org/rules/${rule}` });
    expect(text).toContain('[`a-rule`](<https://example.org/rules/a-rule>)');
  });

  test.each([
    ['<img src=x onerror=y>', '&lt;img src=x onerror=y&gt;'],
    ['</details>', '&lt;/details&gt;'],
    ['a | b', 'a \\| b'],
    ['`a`', '\\`a\\`'],
    ['**a** _b_', '\\*\\*a\\*\\* \\_b\\_'],
    ['[a](b)', '\\[a\\](b)'],
    ['![a](b)', '\\!\\[a\\](b)'],
    ['a\\', 'a\\\\'],
    ['$x$', '&#36;x&#36;'],
    ['a\n\n# b', 'a # b'],
    ['# b', '\\# b'],
    ['- b', '\\- b'],
    ['1. b', '1\\. b'],
    ['@someone', '@<!-- -->someone'],
    ['fixes #12', 'fixes #<!-- -->12'],
    ['https://example.org', 'https<!-- -->://example.org'],
    ['\u001b[31m \u202e', '\\\\x1b\\[31m \\\\u\\{202e\\}'],
  ])('words out of a file are words: %j', (text, expected) => {
    expect(words(text)).toBe(expected);
  });

  test.each([
    ['a', '`a`'],
    ['a`b', '`` a`b ``'],
    ['``', '``` `` ```'],
    ['a\nb', '`a b`'],
  ])('a name stays in its code: %j', (text, expected) => {
    expect(code(text)).toBe(expected);
  });

  test('no name leaves its cell', () => {
    const text = markdown(one({}, '', 'a|b`c'));
    expect(text).toContain('| `` a\\|b`c `` | **caution** |');
  });

  test('no statement leaves its fence', () => {
    const text = markdown(one({ remedy: "SELECT '\n```\n</details> `````';" }));
    expect(text).toContain("``````sql\nSELECT '\n```\n</details> `````';\n``````");
  });

  describe('where there is too much', () => {
    const many = (count: number, severity: Violation['severity'], message: string): Partial<Violation>[] =>
      Array.from({ length: count }, (_, index) => ({ severity, line: index + 1, message }));
    const long = 'It waits. '.repeat(30);

    test('it stays below the limit and says what is left out', () => {
      const text = markdown(one({}, '', 'a'));
      expect(text).not.toContain('left out');
      const report = reportOf([{ name: 'a', violations: many(1000, 'caution', long) }]);
      const cut = markdown(report);
      expect(cut.length).toBeLessThanOrEqual(60_000);
      expect(cut.length).toBeGreaterThan(55_000);
      const kept = cut.split('It waits. It waits.').length - 1;
      const shownViolations = cut.match(/^\*\*caution\*\* · line/gm)?.length ?? 0;
      expect(kept).toBeGreaterThan(0);
      expect(cut).toContain(`**${1000 - shownViolations} violations left out**`);
      expect(cut).toContain('<details>');
    });

    test('the worst is kept', () => {
      const report = reportOf([
        { name: 'a', violations: many(1000, 'caution', long) },
        { name: 'b', violations: [{ severity: 'dangerous', message: 'The end.' }] },
      ]);
      expect(markdown(report)).toContain('The end.');
    });

    test('of many migrations those that are safe give way', () => {
      const safe = Array.from({ length: 2000 }, (_, index) => ({
        name: `${index}_${'n'.repeat(60)}`,
      }));
      const report = reportOf([...safe, { name: 'bad', violations: [{}] }]);
      const text = markdown(report);
      expect(text.length).toBeLessThanOrEqual(60_000);
      expect(text).toContain('| `bad` | **caution** |');
      expect(text).toMatch(/\*\*\d+ migrations left out\*\*/);
    });

    test('one remedy cannot take all the room', () => {
      const text = markdown(one({ remedy: `SELECT ${'1, '.repeat(50_000)}1;` }));
      expect(text).toContain('characters more\n```');
      expect(text.length).toBeLessThan(10_000);
    });
  });
});

describe('SARIF', () => {
  const options: SarifOptions = { version: '1.2.3', prefix: 'prisma/migrations' };
  const run = (report: Report, more: Partial<SarifOptions> = {}) =>
    toSarif(report, { ...options, ...more }).runs[0];
  const fingerprintsOf = (report: Report): string[] =>
    run(report).results.map(({ partialFingerprints }) => Object.values(partialFingerprints).join());

  test('a log of one run', () => {
    const log = toSarif(one({}), options);
    expect(log).toMatchObject({
      $schema: expect.stringMatching(/sarif-2\.1\.0\.json$/),
      version: '2.1.0',
      runs: [
        {
          tool: { driver: { name: 'Switchback', semanticVersion: '1.2.3' } },
          columnKind: 'unicodeCodePoints',
        },
      ],
    });
  });

  test('every result names a rule that is described', () => {
    const { tool, results } = run(one({ rule: dropsTables.id, severity: 'caution' }, 'drop table t;'), {
      customRules: [dropsTables],
    });
    const { rules } = tool.driver;
    for (const rule of rules) {
      expect(rule.id).toMatch(/^[a-z-]+$/);
      for (const text of [rule.shortDescription.text, rule.fullDescription.text, rule.help.text])
        expect(text).not.toBe('');
      expect(['error', 'warning', 'note']).toContain(rule.defaultConfiguration.level);
    }
    expect(new Set(rules.map(({ id }) => id)).size).toBe(rules.length);
    const [result] = results;
    expect(result?.ruleId).toBe(dropsTables.id);
    expect(rules[result?.ruleIndex ?? -1]).toMatchObject({
      id: dropsTables.id,
      shortDescription: { text: 'DROP TABLE' },
      fullDescription: { text: 'The rows are gone.' },
      defaultConfiguration: { level: 'error' },
    });
  });

  test('an id without a rule is described too', () => {
    const { tool, results } = run(one({ rule: 'unheard-of' }));
    expect(tool.driver.rules[results[0]?.ruleIndex ?? -1]).toMatchObject({
      id: 'unheard-of',
      shortDescription: { text: 'unheard of' },
      defaultConfiguration: { level: 'warning' },
    });
  });

  test.each([
    ['dangerous', 'error'],
    ['caution', 'warning'],
    ['safe', 'note'],
    ['notice', 'note'],
  ] as const)('%s is %s', (severity, level) => {
    expect(run(one({ severity }), { notices: true }).results[0]?.level).toBe(level);
  });

  test('opinions are left out unless they are asked for', () => {
    expect(run(one({ severity: 'notice' })).results).toEqual([]);
  });

  test.each([
    ['prisma/migrations', 'a', 'prisma/migrations/a/migration.sql'],
    ['./prisma/migrations/', 'a', 'prisma/migrations/a/migration.sql'],
    ['', 'a', 'a/migration.sql'],
    ['my app\\db', '1_ä #?%', 'my%20app/db/1_%C3%A4%20%23%3F%25/migration.sql'],
    ['a:b', 'c', 'a%3Ab/c/migration.sql'],
  ])('below %j the file of %j is %s', (prefix, name, uri) => {
    const [result] = run(one({ line: 3, column: 5 }, '', name), { prefix }).results;
    expect(result?.locations[0].physicalLocation).toEqual({
      artifactLocation: { uri },
      region: { startLine: 3, startColumn: 5 },
    });
  });

  test('what concerns the folder stands at its lock file', () => {
    const [result] = run(reportOf([], [{}])).results;
    expect(result?.locations[0].physicalLocation.artifactLocation.uri).toBe(
      'prisma/migrations/migration_lock.toml',
    );
  });

  test('a suppression has its reason, and every result says whether it has one', () => {
    const { results } = run(reportOf([{ name: 'a', violations: [{ suppressed: 'empty' }, {}] }]));
    expect(results.map(({ suppressions }) => suppressions)).toEqual([
      [{ kind: 'inSource', justification: 'empty' }],
      [],
    ]);
  });

  test('the message has the remedy, and nothing in it becomes a link', () => {
    const [result] = run(one({ message: 'See [this](1), text[] too.', remedy: 'Do it.' })).results;
    expect(result?.message.text).toBe('See \\[this](1), text[] too.\n\nInstead:\nDo it.');
  });

  describe('fingerprints', () => {
    const sql = 'drop table a;\ndrop table b;\n';
    const at = (...lines: number[]): Partial<Violation>[] => lines.map((line) => ({ line }));
    const of = (text: string, ...lines: number[]): string[] =>
      fingerprintsOf(reportOf([{ name: 'm', sql: text, violations: at(...lines) }]));

    test('stay when lines move, and when a message names other sizes', () => {
      expect(of(`-- a\n\n${sql}`, 3, 4)).toEqual(of(sql, 1, 2));
      const [before] = fingerprintsOf(one({ message: 'It has 100 rows.' }));
      expect(fingerprintsOf(one({ message: 'It has 200 rows.' }))).toEqual([before]);
    });

    test('differ by statement, by rule and by migration, and where all is the same', () => {
      expect(new Set(of(sql, 1, 2)).size).toBe(2);
      expect(new Set(of(sql, 1, 1)).size).toBe(2);
      expect(fingerprintsOf(one({ rule: 'x' }))).not.toEqual(fingerprintsOf(one({ rule: 'y' })));
      expect(fingerprintsOf(one({}, sql, 'x'))).not.toEqual(fingerprintsOf(one({}, sql, 'y')));
    });

    test('stay where nothing parses', () => {
      expect(of('\n\ncreat table a;', 3)).toEqual(of('creat table a;', 1));
    });
  });
});

describe('terminal', () => {
  const plain = (report: Report, options: Partial<TerminalOptions> = {}): string =>
    toTerminal(report, { colour: false, width: 80, ...options });
  /** The excerpt's line and what stands below it. */
  const excerpt = (text: string): string[] => {
    const lines = text.split('\n');
    const first = lines.findIndex((line) => /^\d+ \|/.test(line));
    return lines.slice(first, first + 2).map((line) => line.slice(line.indexOf('|') + 2));
  };

  test('a violation, a line for each migration, and the sum', () => {
    const text = plain(
      reportOf([
        { name: 'first' },
        {
          name: 'second_one',
          sql: '-- why\ndrop table "T";\n',
          violations: [
            {
              severity: 'dangerous',
              effect: 'dataLoss',
              line: 2,
              message: 'Its rows are lost.',
              remedy: 'Move it aside: ALTER TABLE "T" SET SCHEMA dropped;',
            },
          ],
        },
      ]),
    );
    expect(text).toBe(
      [
        'dangerous[a-rule] second_one/migration.sql:2:1',
        '  |',
        '2 | drop table "T";',
        '  | ^^^^^^^^^^^^^^',
        '  |',
        '  = Its rows are lost.',
        '  = remedy:',
        '      Move it aside:',
        '      ALTER TABLE "T" SET SCHEMA dropped;',
        '',
        'safe       first',
        'dangerous  second_one  data loss, 1 violation',
        '',
        'dangerous: do not deploy these as they are. 2 migrations: 1 dangerous, 1 safe. 1 violation.',
        '',
      ].join('\n'),
    );
  });

  test('messages are wrapped, statements of a remedy are not', () => {
    const sql = `SELECT ${'x'.repeat(100)};`;
    const text = plain(one({ message: 'All of them wait for it. '.repeat(10), remedy: sql }), { width: 60 });
    const lines = text.split('\n');
    expect(lines.filter((line) => line.includes('wait')).length).toBeGreaterThan(3);
    for (const line of lines.filter((one) => one.includes('wait')))
      expect(line.length).toBeLessThanOrEqual(60);
    expect(text).toContain(sql);
  });

  test.each<[string, string, number, number, [string, string]]>([
    [
      'from the column on',
      'alter table t drop column a;',
      1,
      15,
      ['alter table t drop column a;', '              ^^^^^^^^^^^^^'],
    ],
    ['not the next statement', 'select 1; select 2;', 1, 1, ['select 1; select 2;', '^^^^^^^^']],
    [
      'the first line of several',
      'alter table t\n  drop column a;',
      1,
      1,
      ['alter table t', '^^^^^^^^^^^^^'],
    ],
    ['a later line of it', 'alter table t\n  drop column a;', 2, 3, ['  drop column a;', '  ^^^^^^^^^^^^^']],
    ['no carriage return', 'alter table t\r\n  drop column a;\r\n', 1, 1, ['alter table t', '^^^^^^^^^^^^^']],
    ['behind a tab', '\tselect 1;', 1, 2, ['    select 1;', '    ^^^^^^^^']],
    ['a tab inside', 'select\t1;', 1, 1, ['select  1;', '^^^^^^^^^']],
    [
      'behind wide characters',
      "select '表😀', 1 / 0;",
      1,
      14,
      ["select '表😀', 1 / 0;", '               ^^^^^'],
    ],
    ['behind a combining accent', "select 'e\u0301', a;", 1, 14, ["select 'e\u0301', a;", '            ^']],
    ['the end of the line', 'creat', 1, 6, ['creat', '     ^']],
  ])('underlines %s', (_, sql, line, column, expected) => {
    expect(excerpt(plain(one({ line, column }, sql)))).toEqual(expected);
  });

  test('a line that is not there', () => {
    expect(excerpt(plain(one({ line: 9, column: 9 }, '')))).toEqual(['', '^']);
  });

  test('what is allowed is marked otherwise, with the reason', () => {
    const text = plain(one({ suppressed: 'nobody uses it', remedy: 'Do not.' }));
    expect(text).toContain('allowed[a-rule]');
    expect(text).toContain('~~~');
    expect(text).toContain('Allowed: nobody uses it');
    expect(text).not.toContain('remedy');
    expect(text).toContain('0 violations, 1 more allowed by a comment.');
  });

  test('opinions are left out unless they are asked for', () => {
    const report = one({ severity: 'notice' });
    expect(plain(report)).not.toContain('a-rule');
    expect(plain(report, { notices: true })).toContain('notice[a-rule]');
  });

  test.each<[string, string, number]>([
    ['at its beginning', `select ${'a, '.repeat(1000)}b;`, 1],
    ['in its middle', `${'select 1; '.repeat(100)}${'select 2; '.repeat(100)}`, 1001],
    ['at its end', `${'select 1; '.repeat(1000)}select 2`, 10_001],
    ['among wide characters', `select '${'表'.repeat(500)}'; select 2; select '${'表'.repeat(500)}'`, 512],
    ['among control characters', `select '${'\u0007'.repeat(500)}'; select 2`, 512],
  ])('of a very long line the part is shown %s', (_, sql, column) => {
    const report = one({ column }, sql);
    const [shown = '', marks = ''] = excerpt(plain(report, { width: 80 }));
    const size = (text: string): number => text.length + (text.match(/表/g)?.length ?? 0);
    expect(size(shown)).toBeLessThanOrEqual(76);
    expect(marks.length).toBeLessThanOrEqual(76);
    // What is underlined is the part's own beginning.
    let cell = 0;
    const under = Array.from(shown).filter((character) => {
      const at = cell;
      cell += size(character);
      return marks[at] === '^';
    });
    expect(under.join('').slice(0, 6)).toBe('select');
    if (column > 1) expect(shown.startsWith('…')).toBe(true);
  });

  test('nothing out of a file commands the terminal', () => {
    const evil = '\u001b]0;owned\u0007\u009b31m\u202e\r\u0000\u2028';
    const text = plain(
      reportOf(
        [
          {
            name: `a${evil}`,
            sql: `select '${evil}';`,
            violations: [
              { message: `It ${evil}.`, remedy: `Use ${evil}: SELECT '${evil}';` },
              { suppressed: evil, rule: evil },
            ],
          },
        ],
        [{ message: evil }],
      ),
    );
    expect(text).toContain('\\x1b]0;owned\\x07\\x9b31m\\u{202e}');
    expect(text.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
  });

  test('colour adds codes and nothing else', () => {
    const report = reportOf([
      { name: 'a' },
      { name: 'b', sql: 'select 1;', violations: [{ remedy: 'No.' }] },
    ]);
    const coloured = plain(report, { colour: true });
    expect(coloured).toContain('\u001b[1;33mcaution[a-rule]\u001b[0m');
    expect(stripVTControlCharacters(coloured)).toBe(plain(report));
  });

  test('a narrow terminal', () => {
    expect(plain(one({}), { width: 0 })).toContain('drop table');
  });
});
