/** The analyser: a folder's migrations and what is known of their database in, a verdict for each out. Pure. */
import { isUtf8 } from 'node:buffer';
import { splitOrRecover, type Unparsable } from '../sql/recover.ts';
import { placeOf, type Statement } from '../sql/split.ts';
import type { Change } from './changes/change.ts';
import { Context } from './context.ts';
import type { Finding, PlacedFinding, Rule } from './define-rule.ts';
import { duration, estimate, size } from './estimate.ts';
import type { Facts } from './facts.ts';
import type { HistoryComparison, MigrationChange, MigrationContext } from './folder.ts';
import { type Lock, locksOf } from './locks.ts';
import { defaultPolicy, type Policy } from './policy.ts';
import type { PrismaSchema } from './prisma-schema.ts';
import { rules as ownRules } from './rules/index.ts';
import { Schema } from './schema/schema.ts';
import { readSuppressions, suppress, suppressionRule } from './suppressions.ts';
import { Transaction } from './transaction.ts';
import { isUnparsable } from './unparsable.ts';
import {
  type Effect,
  effects,
  isWorse,
  type Verdict,
  type Violation,
  verdictOf,
  worst,
} from './violation.ts';
import { type Visited, walkStatement } from './walk.ts';

export interface AnalysisInput {
  /** In the order in which they are applied. */
  readonly migrations: readonly { readonly name: string; readonly sql: Buffer; readonly checksum: string }[];
  /** The names that are to be judged; the others are only followed. All, where it is not given. */
  readonly reported?: ReadonlySet<string>;
  /** The database's schema before the first of them; empty where it is not given. */
  readonly schema?: Schema;
  readonly defaultSchema?: string;
  readonly facts?: Facts | null;
  readonly policy?: Policy;
  readonly previous?: PrismaSchema | null;
  readonly lockFile?: string | null;
  readonly history?: HistoryComparison | null;
  /** Rules of a configured module, beside our own. */
  readonly customRules?: readonly Rule[];
}

export interface StatementAnalysis {
  readonly line: number;
  readonly column: number;
  readonly text: string;
  readonly verdict: Verdict;
  /** On tables that existed before the migration. */
  readonly locks: readonly Lock[];
}

export interface MigrationAnalysis {
  readonly name: string;
  readonly verdict: Verdict;
  readonly effects: readonly Effect[];
  readonly violations: readonly Violation[];
  readonly statements: readonly StatementAnalysis[];
}

export interface Analysis {
  readonly verdict: Verdict;
  readonly migrations: readonly MigrationAnalysis[];
  /** Of the folder itself. */
  readonly violations: readonly Violation[];
  /** What the verdict rests on. */
  readonly basis: { readonly facts: boolean; readonly previousSchema: boolean };
}

const placeOfFinding = ({ line = 1, column = 1 }: PlacedFinding): { line: number; column: number } => ({
  line,
  column,
});

/** PostgreSQL takes neither other encodings from us nor the character with the code 0. */
const isText = (sql: Buffer): boolean => isUtf8(sql) && !sql.includes(0);

/** A file's text as PostgreSQL gets it: it knows no byte order mark. */
const textOf = (sql: Buffer): string => sql.toString('utf8').replace(/^\uFEFF/, '');

export function analyse(input: AnalysisInput): Analysis {
  const run = new Run(input, [...ownRules, ...(input.customRules ?? [])]);
  const followed = input.migrations.map((migration, number) => run.follow(migration, number));
  const folder = run.checkFolder(followed);
  const migrations = followed
    .filter(({ name }) => input.reported?.has(name) !== false)
    .map((migration) => run.conclude(migration));
  return {
    verdict: worst([...migrations.map(({ verdict }) => verdict), verdictOf(folder)]),
    migrations,
    violations: folder,
    basis: { facts: input.facts != null, previousSchema: input.previous != null },
  };
}

/** A migration that was gone through, before suppressions are looked at. */
interface Followed {
  readonly name: string;
  readonly checksum: string;
  readonly text: string;
  readonly split: readonly Statement[];
  readonly found: Violation[];
  readonly statements: readonly StatementAnalysis[];
  readonly locked: readonly string[];
}

class Run {
  readonly #input: AnalysisInput;
  readonly #policy: Policy;
  readonly #schema: Schema;
  readonly #rules: readonly Rule[];
  readonly #byKind = new Map<string, Rule[]>();
  readonly #known: ReadonlySet<string>;

  constructor(input: AnalysisInput, rules: readonly Rule[]) {
    const { defaultSchema } = input;
    this.#input = input;
    this.#policy = input.policy ?? defaultPolicy;
    this.#schema =
      input.schema ??
      new Schema({ complete: true, ...(defaultSchema === undefined ? {} : { defaultSchema }) });
    this.#rules = rules;
    this.#known = new Set(rules.map(({ id }) => id));
    for (const rule of rules)
      for (const kind of rule.on ?? []) this.#byKind.set(kind, [...(this.#byKind.get(kind) ?? []), rule]);
  }

  /** Goes through one file, and carries the schema forward. */
  follow({ name, sql, checksum }: AnalysisInput['migrations'][number], number: number): Followed {
    const text = textOf(sql);
    const { statements: split, unparsable } = isText(sql) ? splitOrRecover(text) : notText(sql);
    // What could not be read may have made or dropped something.
    if (unparsable.some((fault) => fault.text === '' || /\b(create|alter|drop|do|call)\b/i.test(fault.text)))
      this.#schema.complete = false;
    const found: Violation[] = unparsable.flatMap((fault) => this.#unparsable(fault));
    const transaction = new Transaction();
    const locator = new Locator(text);
    const changes: MigrationChange[] = [];
    const statements = split.map((statement): StatementAnalysis => {
      const before = found.length;
      const first = changes.length;
      walkStatement(statement, this.#schema, number, (visited) => {
        const context = this.#context(visited, { name, number, statements: split }, transaction);
        found.push(...this.#check(visited, context, locator));
        const locks = locksOf(visited.change, this.#schema).filter(({ table }) => !context.isNew(table));
        const { change, statement: inner, embedded } = visited;
        changes.push({
          change,
          statement: inner,
          embedded,
          existed: existed(change, context),
          droppedFunction:
            change.kind === 'dropFunction' ? (this.#schema.functions.get(change.function) ?? null) : null,
          locks,
        });
        transaction.record(visited, locks);
      });
      return {
        line: statement.line,
        column: statement.column,
        text: statement.text,
        verdict: verdictOf(found.slice(before)),
        locks: changes.slice(first).flatMap(({ locks }) => locks),
      };
    });
    // A setting of the session ends with the file.
    this.#schema.searchPath = this.#schema.defaultPath;
    found.push(
      ...this.#checkMigration({ name, number, text, statements: split, changes, schema: this.#schema }),
    );
    const locked = [...new Set(changes.flatMap(({ locks }) => locks.map(({ table }) => table)))];
    return { name, checksum, text, split, found, statements, locked };
  }

  #checkMigration(migration: MigrationContext): Violation[] {
    return this.#rules.flatMap((rule) =>
      (rule.checkMigration?.(migration) ?? []).flatMap(
        (finding) => this.#violation(rule, finding, placeOfFinding(finding)) ?? [],
      ),
    );
  }

  /** Those of the folder itself; those of single migrations are added to theirs. */
  checkFolder(followed: readonly Followed[]): Violation[] {
    const { lockFile, history = null, reported } = this.#input;
    const byName = new Map(followed.map((migration) => [migration.name, migration]));
    const own: Violation[] = [];
    const isReported = (name: string): boolean => reported?.has(name) !== false;
    for (const rule of this.#rules)
      for (const finding of rule.checkFolder?.({ migrations: followed, lockFile, history, isReported }) ??
        []) {
        const violation = this.#violation(rule, finding, placeOfFinding(finding));
        if (violation !== null) (byName.get(finding.migration ?? '')?.found ?? own).push(violation);
      }
    return own;
  }

  /** Looks at suppressions, and comes to the verdict. */
  conclude({ name, text, split, found, statements }: Followed): MigrationAnalysis {
    const violations = suppress(unique(found), readSuppressions(text, split), this.#known)
      .flatMap((violation) =>
        violation.rule === suppressionRule ? (this.#byPolicy(violation) ?? []) : [violation],
      )
      .sort((a, b) => a.line - b.line || a.column - b.column);
    return {
      name,
      verdict: verdictOf(violations),
      effects: effects.filter((effect) => violations.some((violation) => violation.effect === effect)),
      violations,
      statements,
    };
  }

  #context(
    { statement, siblings, embedded }: Visited,
    migration: Context['migration'],
    transaction: Transaction,
  ): Context {
    return new Context({
      schema: this.#schema,
      migration,
      statement,
      transaction,
      settings: transaction.settings,
      facts: this.#input.facts ?? null,
      policy: this.#policy,
      previous: this.#input.previous ?? null,
      siblings,
      embedded,
    });
  }

  #check({ change, statement, embedded }: Visited, context: Context, locator: Locator): Violation[] {
    const found: Violation[] = [];
    for (const rule of this.#byKind.get(change.kind) ?? []) {
      const findings = rule.check?.(change as never, context) ?? [];
      for (const finding of Array.isArray(findings)
        ? (findings as readonly Finding[])
        : [findings as Finding]) {
        const place = finding.at == null || embedded ? statement : locator.at(finding.at, statement);
        const violation = this.#violation(rule, sharpen(finding, rule, context), place);
        if (violation !== null) found.push(violation);
      }
    }
    return found;
  }

  #unparsable(fault: Unparsable): Violation[] {
    const rule = this.#rules.find(({ id }) => id === 'unparsable-statement');
    return rule === undefined
      ? []
      : [this.#violation(rule, isUnparsable(fault), fault)].flatMap((found) => found ?? []);
  }

  #violation(
    rule: Rule,
    finding: Finding,
    { line, column }: { line: number; column: number },
  ): Violation | null {
    return this.#byPolicy({
      rule: rule.id,
      severity: finding.severity ?? rule.severity,
      effect: finding.effect === undefined ? rule.effect : finding.effect,
      table: finding.table ?? null,
      line,
      column,
      message: finding.message,
      remedy: finding.remedy ?? null,
    });
  }

  #byPolicy(violation: Violation): Violation | null {
    const decided = this.#policy.rules[violation.rule];
    if (decided === 'off') return null;
    return decided === undefined ? violation : { ...violation, severity: decided };
  }
}

/** Whether what a change is made to was there before the migration. */
function existed(change: Change, context: Context): boolean {
  if (change.kind === 'dropFunction')
    return context.schema.functions.get(change.function)?.since !== context.migration.number;
  if (!('table' in change)) return true;
  return 'column' in change && typeof change.column === 'string'
    ? !context.isNewColumn(change.table, change.column)
    : !context.isNew(change.table);
}

/** Names the time that the work takes where the database's figures are known; brief work is safe. */
function sharpen(finding: Finding, rule: Rule, context: Context): Finding {
  const { work, table } = finding;
  if (table != null && context.isUnreleased(table)) return unreleased(finding, rule, table, context);
  if (work === undefined) return finding;
  const facts = context.factsOf(work.table);
  if (facts === null) return finding;
  const seconds = estimate(work.kind, facts);
  const severity = finding.severity ?? rule.severity;
  const brief = seconds <= context.policy.thresholds.briefSeconds && facts.rows >= 0;
  return {
    ...finding,
    message: `${finding.message} ${context.name(work.table)} has ${size(facts)}: ${duration(seconds)}${facts.rows > 0 && facts.reads + facts.writes > 0 ? `; it was scanned ${facts.reads.toLocaleString('en')} times and ${facts.writes.toLocaleString('en')} rows were written since the statistics began` : ''}.`,
    severity: brief && isWorse(severity, 'safe') ? 'safe' : severity,
  };
}

function unreleased(finding: Finding, rule: Rule, table: string, context: Context): Finding {
  const severity = finding.severity ?? rule.severity;
  if (!isWorse(severity, 'safe')) return finding;
  return {
    ...finding,
    severity: 'safe',
    message: `${finding.message} ${context.name(table)} is made by this same deployment, so that no release uses it yet.`,
  };
}

const notText = (sql: Buffer): { statements: readonly Statement[]; unparsable: readonly Unparsable[] } => ({
  statements: [],
  unparsable: [
    {
      message: sql.includes(0)
        ? 'the file holds a character with the code 0'
        : 'the file is not text in UTF-8',
      text: '',
      line: 1,
      column: 1,
    },
  ],
});

/** One rule says a thing once: a DO block's loop or two parts of a statement may find it twice. */
function unique(violations: readonly Violation[]): Violation[] {
  const seen = new Set<string>();
  return violations.filter(({ rule, line, column, message }) => {
    const key = `${rule} ${line} ${column} ${message}`;
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}

/** Finds the place of a byte, which is how PostgreSQL's parser counts. */
class Locator {
  readonly #text: string;
  #bytes: Buffer | null = null;

  constructor(text: string) {
    this.#text = text;
  }

  at(byte: number, within: Statement): { line: number; column: number } {
    this.#bytes ??= Buffer.from(this.#text);
    const offset =
      this.#bytes.length === this.#text.length ? byte : this.#bytes.toString('utf8', 0, byte).length;
    // In a recovered piece of a file bytes are counted from the piece's start.
    const inside = offset >= within.offset && offset <= within.offset + within.text.length;
    return inside ? placeOf(this.#text, offset) : within;
  }
}
