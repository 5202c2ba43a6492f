/** The way through a folder: each migration's statements carry the schema forward, and every change is looked at. */
import { isUtf8 } from 'node:buffer';
import { type Split, splitOrRecover, type Unparsable } from '../sql/recover.ts';
import type { Statement } from '../sql/split.ts';
import type { AnalysisInput, StatementAnalysis } from './analyse.ts';
import type { Change } from './changes/change.ts';
import { Context } from './context.ts';
import type { Finding, PlacedFinding, Rule } from './define-rule.ts';
import { type Division, divisions } from './divisions.ts';
import { foreignKeysOf, type MigrationChange, type MigrationContext } from './folder.ts';
import { Locator } from './locator.ts';
import { locksOf } from './locks.ts';
import { quotedTable } from './phrases.ts';
import { defaultPolicy, type Policy } from './policy.ts';
import { codeNotFollowed } from './rules/code-not-followed.ts';
import { unparsableStatement } from './rules/unparsable-statement.ts';
import { keyOf, Schema, splitKey } from './schema/schema.ts';
import { sharpen, unreleased } from './sharpen.ts';
import { readSuppressions, type Suppression } from './suppressions.ts';
import { Transaction } from './transaction.ts';
import { isUnparsable } from './unparsable.ts';
import { type Violation, verdictOf } from './violation.ts';
import { type Visited, walkStatement } from './walk.ts';

/** A migration that was gone through, before suppressions are applied. */
export interface Followed {
  readonly name: string;
  readonly checksum: string;
  readonly found: Violation[];
  readonly suppressions: readonly Suppression[];
  readonly statements: readonly StatementAnalysis[];
  /** Keys of tables that existed before it and that it locks. */
  readonly locked: readonly string[];
  readonly divisions: readonly Division[];
  readonly foreignKeys: number;
}

interface Place {
  readonly line: number;
  readonly column: number;
}

export class Follower {
  readonly schema: Schema;
  readonly #input: AnalysisInput;
  readonly #policy: Policy;
  readonly #rules: readonly Rule[];
  readonly #byKind = new Map<string, Rule[]>();
  /** Keys of the tables that this deployment makes, where a database's facts tell which were there before. */
  readonly #made = new Set<string>();

  constructor(input: AnalysisInput, rules: readonly Rule[]) {
    const { defaultSchema } = input;
    this.#input = input;
    this.#policy = input.policy ?? defaultPolicy;
    this.schema =
      input.schema ??
      new Schema({ complete: true, ...(defaultSchema === undefined ? {} : { defaultSchema }) });
    this.#rules = rules;
    for (const rule of rules)
      for (const kind of rule.on ?? []) this.#byKind.set(kind, [...(this.#byKind.get(kind) ?? []), rule]);
  }

  /** Goes through one file, and carries the schema forward. */
  follow({ name, sql, checksum }: AnalysisInput['migrations'][number], number: number): Followed {
    const text = textOf(sql);
    const split = isText(sql) ? splitOrRecover(text) : notText(sql);
    const found: Violation[] = split.unparsable.flatMap((fault) => this.#unparsable(fault));
    const transaction = new Transaction();
    const locator = new Locator(text);
    const changes: MigrationChange[] = [];
    const info = { name, number, statements: split.statements };
    const statements = split.statements.map((statement): StatementAnalysis => {
      const before = found.length;
      const first = changes.length;
      const visit = (visited: Visited): void => {
        const context = this.#context(visited, info, transaction);
        found.push(...this.#check(visited, context, locator));
        const change = described(visited, context);
        changes.push(change);
        this.#note(visited.change);
        transaction.record(visited, change.locks);
      };
      try {
        walkStatement(statement, this.schema, number, visit);
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
        found.push(...this.#tooDeep(statement));
      }
      return {
        line: statement.line,
        column: statement.column,
        text: statement.text,
        verdict: verdictOf(found.slice(before)),
        locks: changes.slice(first).flatMap(({ locks }) => locks),
      };
    });
    this.schema.endSession();
    const known = { schema: this.schema, policy: this.#policy, facts: this.#input.facts ?? null };
    found.push(...this.#checkMigration({ ...info, ...known, text, changes }));
    return {
      name,
      checksum,
      found,
      suppressions: readSuppressions(text, split.statements),
      statements,
      locked: [...new Set(changes.flatMap(({ locks }) => locks.map(({ table }) => table)))],
      divisions: divisions(split),
      foreignKeys: changes.reduce((sum, { change }) => sum + foreignKeysOf(change).length, 0),
    };
  }

  /** A finding as a violation at its place; null where the policy has the rule off. */
  violation(
    rule: Pick<Rule, 'id' | 'severity' | 'effect'>,
    finding: Finding,
    { line, column }: Place,
  ): Violation | null {
    const decided = this.#policy.rules[rule.id];
    if (decided === 'off') return null;
    return {
      rule: rule.id,
      severity: decided ?? finding.severity ?? rule.severity,
      effect: finding.effect === undefined ? rule.effect : finding.effect,
      table: finding.table ?? null,
      line,
      column,
      message: finding.message,
      remedy: finding.remedy ?? null,
    };
  }

  #context(
    { statement, siblings, embedded }: Visited,
    migration: Context['migration'],
    transaction: Transaction,
  ): Context {
    return new Context({
      schema: this.schema,
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
    for (const rule of this.#byKind.get(change.kind) ?? [])
      for (const finding of asList(rule.check?.(change as never, context) ?? [])) {
        const place = finding.at == null || embedded ? statement : locator.at(finding.at, statement);
        const violation = this.violation(rule, sharpen(finding, rule, context), place);
        if (violation !== null) found.push(violation);
      }
    return found;
  }

  #checkMigration(migration: MigrationContext): Violation[] {
    return this.#rules.flatMap((rule) =>
      (rule.checkMigration?.(migration) ?? []).flatMap(
        (finding) => this.violation(rule, this.#sharpen(finding, rule), placeOfFinding(finding)) ?? [],
      ),
    );
  }

  #note(change: Change): void {
    if (this.#input.facts == null) return;
    if (change.kind === 'createTable') this.#made.add(change.table);
    if (change.kind === 'renameTable' && this.#made.has(change.table))
      this.#made.add(keyOf(splitKey(change.table).schema, change.to));
  }

  #sharpen(finding: PlacedFinding, rule: Rule): PlacedFinding {
    const { table } = finding;
    return table != null && this.#made.has(table)
      ? unreleased(finding, rule.severity, quotedTable(table, this.schema))
      : finding;
  }

  /** Looking at it exhausts the stack; what it does stays unknown. */
  #tooDeep(statement: Statement): Violation[] {
    this.schema.complete = false;
    const finding: Finding = {
      severity: 'caution',
      message: 'This is nested too deeply to be looked at: the verdict says nothing about it.',
    };
    const violation = this.violation(codeNotFollowed, finding, statement);
    return violation === null ? [] : [violation];
  }

  #unparsable(fault: Unparsable): Violation[] {
    // What could not be read may have made or dropped something.
    if (fault.text === '' || /\b(create|alter|drop|do|call)\b/i.test(fault.text))
      this.schema.complete = false;
    const violation = this.violation(unparsableStatement, isUnparsable(fault), fault);
    return violation === null ? [] : [violation];
  }
}

export const placeOfFinding = ({ line = 1, column = 1 }: PlacedFinding): Place => ({ line, column });

const asList = (findings: Finding | readonly Finding[]): readonly Finding[] =>
  Array.isArray(findings) ? (findings as readonly Finding[]) : [findings as Finding];

function described({ change, statement, embedded }: Visited, context: Context): MigrationChange {
  const { schema } = context;
  return {
    change,
    statement,
    embedded,
    existed: existed(change, context),
    droppedFunction: change.kind === 'dropFunction' ? (schema.functions.get(change.function) ?? null) : null,
    locks: locksOf(change, schema).filter(({ table }) => !context.isNew(table)),
  };
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

/** PostgreSQL takes neither other encodings from us nor the character with the code 0. */
const isText = (sql: Buffer): boolean => isUtf8(sql) && !sql.includes(0);

/** A file's text as PostgreSQL gets it: it knows no byte order mark. */
const textOf = (sql: Buffer): string => sql.toString('utf8').replace(/^\uFEFF/, '');

const notText = (sql: Buffer): Split => ({
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
