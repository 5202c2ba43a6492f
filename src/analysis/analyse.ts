/** The analyser: a folder's migrations and what is known of their database in, a verdict for each out. Pure. */
import type { Rule } from './define-rule.ts';
import type { Division } from './divisions.ts';
import type { Facts } from './facts.ts';
import type { HistoryComparison } from './folder.ts';
import { type Followed, Follower, placeOfFinding } from './follow.ts';
import type { Lock } from './locks.ts';
import type { Policy } from './policy.ts';
import type { PrismaSchema } from './prisma-schema.ts';
import { rules as ownRules } from './rules/index.ts';
import type { Schema } from './schema/schema.ts';
import { suppress } from './suppressions.ts';
import { type Effect, effects, type Verdict, type Violation, verdictOf, worst } from './violation.ts';

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
  /** Why it cannot run as one transaction; none where it can. */
  readonly divisions: readonly Division[];
  /** How many foreign keys it makes. */
  readonly foreignKeys: number;
}

export interface Analysis {
  readonly verdict: Verdict;
  readonly migrations: readonly MigrationAnalysis[];
  /** Of the folder itself. */
  readonly violations: readonly Violation[];
  /** What the verdict rests on. */
  readonly basis: { readonly facts: boolean; readonly previousSchema: boolean };
}

/** Judges the migrations of a folder. It needs `loadParser` to have run; it throws nothing on purpose. */
export function analyse(input: AnalysisInput): Analysis {
  const rules = [...ownRules, ...(input.customRules ?? [])];
  const follower = new Follower(input, rules);
  const followed = input.migrations.map((migration, number) => follower.follow(migration, number));
  const folder = checkFolder(input, rules, follower, followed);
  const migrations = followed
    .filter(({ name }) => input.reported?.has(name) !== false)
    .map((migration) => conclude(migration, rules, follower));
  return {
    verdict: worst([...migrations.map(({ verdict }) => verdict), verdictOf(folder)]),
    migrations,
    violations: folder,
    basis: { facts: input.facts != null, previousSchema: input.previous != null },
  };
}

/** Those of the folder itself; those of single migrations are added to theirs. */
function checkFolder(
  { lockFile, history = null, reported }: AnalysisInput,
  rules: readonly Rule[],
  follower: Follower,
  followed: readonly Followed[],
): Violation[] {
  const byName = new Map(followed.map((migration) => [migration.name, migration]));
  const isReported = (name: string): boolean => reported?.has(name) !== false;
  const own: Violation[] = [];
  for (const rule of rules)
    for (const finding of rule.checkFolder?.({ migrations: followed, lockFile, history, isReported }) ?? []) {
      const violation = follower.violation(rule, finding, placeOfFinding(finding));
      if (violation !== null) (byName.get(finding.migration ?? '')?.found ?? own).push(violation);
    }
  return own;
}

/** Applies the file's suppressions, and comes to the verdict. */
function conclude(
  { name, found, suppressions, statements, divisions, foreignKeys }: Followed,
  rules: readonly Rule[],
  follower: Follower,
): MigrationAnalysis {
  const violations = suppress(unique(found), suppressions, rules, (rule, finding, place) =>
    follower.violation(rule, finding, place),
  ).sort((a, b) => a.line - b.line || a.column - b.column);
  return {
    name,
    verdict: verdictOf(violations),
    effects: effects.filter((effect) => violations.some((violation) => violation.effect === effect)),
    violations,
    statements,
    divisions,
    foreignKeys,
  };
}

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
