import { beforeAll, describe, expect, test } from 'vitest';
import { type Analysis, analyse, type MigrationAnalysis } from '../../src/analysis/analyse.ts';
import { assessQuality, type Criterion } from '../../src/analysis/quality.ts';
import { type Violation, verdictOf, worst } from '../../src/analysis/violation.ts';
import { loadParser } from '../../src/sql/parse.ts';

beforeAll(loadParser);

const provider = 'provider = "postgresql"\n';

interface Written {
  readonly name: string;
  readonly sql?: string;
  readonly violations?: readonly Partial<Violation>[];
}

function assess(written: readonly Written[], criterion: Criterion['criterion']): Criterion {
  // What the files do is read from them; what is wrong with them is said here.
  const read = analyse({
    migrations: written.map(({ name, sql = '' }) => ({ name, sql: Buffer.from(sql), checksum: '' })),
  }).migrations;
  const migrations = written.map(({ name, violations = [] }, number): MigrationAnalysis => {
    const full = violations.map(
      (part): Violation => ({
        rule: 'a-rule',
        severity: 'caution',
        effect: null,
        table: null,
        line: 1,
        column: 1,
        message: 'It happens.',
        remedy: null,
        ...part,
      }),
    );
    const { divisions = [], foreignKeys = 0 } = read[number] ?? {};
    return {
      name,
      verdict: verdictOf(full),
      effects: [],
      violations: full,
      statements: [],
      divisions,
      foreignKeys,
    };
  });
  const analysis: Analysis = {
    verdict: worst(migrations.map(({ verdict }) => verdict)),
    migrations,
    violations: [],
    basis: { facts: false, previousSchema: false },
  };
  const texts = written.map(({ name, sql = '' }) => ({ name, sql }));
  const found = assessQuality({ analysis, migrations: texts, lockFile: provider }).find(
    (one) => one.criterion === criterion,
  );
  if (found === undefined) throw new Error(`nothing is said of ${criterion}`);
  return found;
}

const named = (...names: string[]): Written[] => names.map((name) => ({ name }));
const sayings = ({ evidence }: Criterion): [string | null, string][] =>
  evidence.map(({ migration, detail }) => [migration, detail]);

test('there are four criteria, in order', () => {
  const analysis: Analysis = {
    verdict: 'safe',
    migrations: [],
    violations: [],
    basis: { facts: false, previousSchema: false },
  };
  expect(
    assessQuality({ analysis, migrations: [], lockFile: provider }).map(({ criterion, answer }) => [
      criterion,
      answer,
    ]),
  ).toEqual([
    ['proper versioning', 'yes'],
    ['non-destructive', 'yes'],
    ['indexed appropriately', 'yes'],
    ['atomic', 'yes'],
  ]);
});

describe('proper versioning', () => {
  test('as Prisma makes it', () => {
    const found = assess(named('20250101000000_a', '20250102000000_b'), 'proper versioning');
    expect(found).toMatchObject({ answer: 'yes', evidence: [] });
  });

  test('some names tell a day only', () => {
    const found = assess(named('20250101_a', '20250102000000_b'), 'proper versioning');
    expect(found.answer).toBe('partly');
    expect(sayings(found)).toEqual([
      ['20250101_a', 'The name does not begin with a date and time of 14 digits.'],
    ]);
  });

  test('a date that no calendar has', () => {
    const found = assess(named('20250101000000_a', '20250231000000_b'), 'proper versioning');
    expect(found.answer).toBe('partly');
    expect(found.evidence).toMatchObject([{ migration: '20250231000000_b' }]);
  });

  test('none is dated', () => {
    expect(assess(named('a', 'b'), 'proper versioning').answer).toBe('no');
  });

  test('two with one date', () => {
    const found = assess(named('20250101000000_a', '20250101000000_b'), 'proper versioning');
    expect(found.answer).toBe('no');
    expect(sayings(found)).toEqual([['20250101000000_b', 'It has the same date as 20250101000000_a.']]);
  });

  test('applied in another order than that of the dates', () => {
    const found = assess(
      named('20250101000000_a', '20250301000000_c', '20250201000000_b'),
      'proper versioning',
    );
    expect(found.answer).toBe('no');
    expect(sayings(found)).toContainEqual([
      '20250201000000_b',
      'It is applied after 20250301000000_c, which has a later date.',
    ]);
  });

  test('an order that depends on who sorts', () => {
    const found = assess(named('20260222_b', '20260222011200_a'), 'proper versioning');
    expect(found.answer).toBe('partly');
    expect(sayings(found)).toContainEqual([
      '20260222011200_a',
      'Tools that sort by bytes, not by locale, apply it before 20260222_b.',
    ]);
  });

  test.each<[string, string | null | undefined, string, (string | null)[]]>([
    ['missing', null, 'partly', [null]],
    ['without a provider', '# nothing\n', 'partly', [null]],
    ['of no interest where there is no folder', undefined, 'yes', []],
  ])('the lock file is %s', (_, lockFile, answer, where) => {
    const analysis: Analysis = {
      verdict: 'safe',
      migrations: [],
      violations: [],
      basis: { facts: false, previousSchema: false },
    };
    const migrations = [{ name: '20250101000000_a', sql: '' }];
    const [found] = assessQuality({ analysis, migrations, lockFile });
    expect(found?.answer).toBe(answer);
    expect(found?.evidence.map(({ migration }) => migration)).toEqual(where);
  });
});

describe('non-destructive', () => {
  const judged = (...violations: Partial<Violation>[]): Criterion =>
    assess([{ name: 'a', violations }], 'non-destructive');

  test.each<[string, Partial<Violation>, string]>([
    ['nothing of the kind', { effect: 'rewrite', severity: 'dangerous' }, 'yes'],
    ['data is lost', { effect: 'dataLoss' }, 'no'],
    ['an older release breaks', { effect: 'breaksOldVersion' }, 'partly'],
    ['what is safe destroys nothing', { effect: 'dataLoss', severity: 'safe' }, 'yes'],
    ['an opinion is no evidence', { effect: 'breaksOldVersion', severity: 'notice' }, 'yes'],
    ['data that is lost on purpose is lost', { effect: 'dataLoss', suppressed: 'unused' }, 'no'],
  ])('%s', (_, violation, answer) => {
    expect(judged(violation).answer).toBe(answer);
  });

  test('the reason of a comment is part of the evidence', () => {
    const { evidence } = judged({ effect: 'dataLoss', line: 7, suppressed: 'never used' });
    expect(evidence).toEqual([
      { migration: 'a', line: 7, detail: 'It happens. Allowed in the file: never used' },
    ]);
  });
});

describe('indexed appropriately', () => {
  const keys = [
    'create table t (a int references m(id), b int, foreign key (b) references k(id));',
    'alter table u add constraint x foreign key (a) references m(id);',
  ].join('\n');
  const missing = (count: number): Partial<Violation>[] =>
    Array.from({ length: count }, () => ({ rule: 'foreign-key-without-index', severity: 'notice' }));

  test.each<[number, string, RegExp]>([
    [0, 'yes', /^Every foreign key .*3 in all/],
    [1, 'partly', /^1 of 3 foreign keys/],
    [3, 'no', /^3 of 3/],
  ])('%i of 3 keys have no index', (count, answer, explanation) => {
    const found = assess([{ name: 'a', sql: keys, violations: missing(count) }], 'indexed appropriately');
    expect(found.answer).toBe(answer);
    expect(found.explanation).toMatch(explanation);
    expect(found.evidence).toHaveLength(count);
  });

  test('there are no keys', () => {
    const found = assess([{ name: 'a', sql: 'create table t (a int);' }], 'indexed appropriately');
    expect(found).toMatchObject({ answer: 'yes', explanation: 'No foreign keys are created.' });
  });

  test('a key that only the rule has found', () => {
    const found = assess([{ name: 'a', violations: missing(1) }], 'indexed appropriately');
    expect(found.answer).toBe('no');
  });
});

describe('atomic', () => {
  const concurrently = 'create index concurrently i on t (a);';

  test.each<[string, string, string, number[]]>([
    ['nothing', '', 'yes', []],
    ['statements that share a transaction', 'create table t (a int);\ncreate index i on t (a);', 'yes', []],
    ["one transaction of the file's own", 'begin;\nselect 1;\nselect 2;\ncommit;', 'yes', []],
    ['a COMMIT without a BEGIN', 'select 1;\ncommit;\nselect 2;', 'yes', []],
    ['a new label that is not used', "alter type e add value 'x';\nselect 1;", 'yes', []],
    ['CONCURRENTLY in a file of its own', concurrently, 'partly', [1]],
    ['a setting before CONCURRENTLY', `set lock_timeout = 0;\n${concurrently}`, 'partly', [2]],
    ['CONCURRENTLY with others', `select 1;\n${concurrently}\nselect 2;`, 'no', [2]],
    ['CONCURRENTLY twice', `${concurrently}\n${concurrently}`, 'no', [1, 2]],
    ['two transactions of its own', 'begin;\nselect 1;\ncommit;\nbegin;\nselect 2;\ncommit;', 'no', [5]],
    ['a chained transaction', 'begin;\nselect 1;\ncommit and chain;\nselect 2;\ncommit;', 'no', [4]],
    ['statements before its own transaction', 'select 1;\nbegin;\nselect 2;\ncommit;', 'no', [3]],
    ['a new label that is used', "alter type e add value 'x';\ninsert into t values ('x');", 'no', [2]],
    ['code that commits', 'select 1;\ndo $$ begin perform 1; commit; end $$;', 'no', [2]],
    ['code that speaks of it', 'select 1;\ndo $$ begin /* no commit; */ perform 1; end $$;', 'yes', []],
    ['what does not parse', 'select 1;\ncreat table t;', 'partly', [2]],
  ])('%s', (_, sql, answer, lines) => {
    const found = assess([{ name: 'a', sql }], 'atomic');
    expect(found.evidence.map(({ line }) => line)).toEqual(lines);
    expect(found.answer).toBe(answer);
  });

  test('the evidence names the migrations', () => {
    const found = assess(
      [
        { name: 'a', sql: 'select 1;' },
        { name: 'b', sql: concurrently },
      ],
      'atomic',
    );
    expect(found.evidence.map(({ migration }) => migration)).toEqual(['b']);
  });
});
