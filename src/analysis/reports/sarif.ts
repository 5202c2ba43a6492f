/** The report as SARIF 2.1.0, which code hosts show beside the lines of a pull request. */
import { createHash } from 'node:crypto';
import type { StatementAnalysis } from '../analyse.ts';
import type { Rule } from '../define-rule.ts';
import { rules as ownRules } from '../rules/index.ts';
import { countLines } from '../summary.ts';
import type { Severity, Violation } from '../violation.ts';
import { type Report, type ReportOptions, shown, statementAt } from './report.ts';

export interface SarifOptions extends ReportOptions {
  /** Of Switchback, as semantic versioning writes it. */
  readonly version: string;
  /** The migrations directory, relative to the repository's root. */
  readonly prefix: string;
  /** Rules of a configured module, beside our own. */
  readonly customRules?: readonly Rule[];
}

type Level = 'error' | 'warning' | 'note';

export interface SarifLog {
  readonly $schema: string;
  readonly version: '2.1.0';
  readonly runs: readonly [SarifRun];
}

export interface SarifRun {
  readonly tool: {
    readonly driver: {
      readonly name: string;
      readonly semanticVersion: string;
      readonly rules: readonly SarifRule[];
    };
  };
  readonly columnKind: 'unicodeCodePoints';
  readonly results: readonly SarifResult[];
}

export interface SarifRule {
  readonly id: string;
  readonly shortDescription: { readonly text: string };
  readonly fullDescription: { readonly text: string };
  readonly help: { readonly text: string };
  readonly defaultConfiguration: { readonly level: Level };
}

export interface SarifResult {
  readonly ruleId: string;
  readonly ruleIndex: number;
  readonly level: Level;
  readonly message: { readonly text: string };
  readonly locations: readonly [
    {
      readonly physicalLocation: {
        readonly artifactLocation: { readonly uri: string };
        readonly region: { readonly startLine: number; readonly startColumn: number };
      };
    },
  ];
  readonly partialFingerprints: Readonly<Record<string, string>>;
  /** Empty where nothing is suppressed: a run says it of all its results or of none. */
  readonly suppressions: readonly { readonly kind: 'inSource'; readonly justification: string }[];
}

const levels: Readonly<Record<Severity, Level>> = {
  dangerous: 'error',
  caution: 'warning',
  safe: 'note',
  notice: 'note',
};

export function toSarif(report: Report, options: SarifOptions): SarifLog {
  const { analysis } = report;
  const found = [
    ...shown(analysis.violations, options).map((violation) => ({
      violation,
      path: 'migration_lock.toml',
      content: '',
    })),
    ...analysis.migrations.flatMap(({ name, violations, statements }) => {
      const lines = (report.sources.get(name) ?? '').split('\n');
      return shown(violations, options).map((violation) => ({
        violation,
        path: `${name}/migration.sql`,
        content: contentAt(violation, statements, lines),
      }));
    }),
  ];
  const described = describe(
    [...ownRules, ...(options.customRules ?? [])],
    found.map(({ violation }) => violation),
  );
  const indexes = new Map(described.map(({ id }, index) => [id, index]));
  const fingerprint = fingerprinter();
  return {
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        tool: { driver: { name: 'Switchback', semanticVersion: options.version, rules: described } },
        columnKind: 'unicodeCodePoints',
        results: found.map(({ violation, path, content }) => ({
          ruleId: violation.rule,
          ruleIndex: indexes.get(violation.rule) ?? -1,
          level: levels[violation.severity],
          message: { text: messageOf(violation) },
          locations: [
            {
              physicalLocation: {
                artifactLocation: { uri: uriOf(options.prefix, path) },
                region: { startLine: violation.line, startColumn: violation.column },
              },
            },
          ],
          partialFingerprints: {
            primaryLocationLineHash: fingerprint([path, violation.rule, violation.table ?? '', content]),
          },
          suppressions:
            violation.suppressed === undefined
              ? []
              : [{ kind: 'inSource', justification: violation.suppressed }],
        })),
      },
    ],
  };
}

/** All rules, and the ids under which the analyser itself reports. */
function describe(rules: readonly Rule[], violations: readonly Violation[]): SarifRule[] {
  const described = new Map<string, SarifRule>();
  for (const { id, summary, why, severity } of rules) described.set(id, toRule(id, summary, why, severity));
  for (const { rule, severity } of violations)
    if (!described.has(rule)) {
      const words = rule.replaceAll('-', ' ');
      described.set(rule, toRule(rule, words, words, severity));
    }
  return [...described.values()];
}

const toRule = (id: string, summary: string, why: string, severity: Severity): SarifRule => ({
  id,
  shortDescription: { text: summary },
  fullDescription: { text: why },
  help: {
    text: `${why}\n\nWhere it is meant, allow it with a reason: -- switchback: allow ${id}: <reason>`,
  },
  defaultConfiguration: { level: levels[severity] },
});

/** In SARIF `[text](target)` is a link, even in plain text. */
const messageOf = ({ message, remedy }: Violation): string =>
  (remedy === null ? message : `${message}\n\nInstead:\n${remedy}`).replace(/\[(?=[^\][]*\]\()/g, '\\[');

/** Relative, and encoded part by part. */
function uriOf(prefix: string, path: string): string {
  const parts = [...prefix.replaceAll('\\', '/').split('/'), ...path.split('/')];
  return parts
    .filter((part) => part !== '' && part !== '.')
    .map((part) => encodeURIComponent(part.replace(/\p{Cs}/gu, '\ufffd')))
    .join('/');
}

/** The statement that a violation is about; its line where none parses there. */
function contentAt(
  { line, column }: Violation,
  statements: readonly StatementAnalysis[],
  lines: readonly string[],
): string {
  const statement = statementAt(statements, line, column);
  const within = statement !== undefined && line < statement.line + countLines(statement.text);
  return within ? statement.text : (lines[line - 1] ?? '');
}

/**
 * A mark that stays when lines move: of what a violation is about, not of where, nor of the message, which names sizes
 * that grow. What is the same several times is numbered.
 */
function fingerprinter(): (parts: readonly string[]) => string {
  const seen = new Map<string, number>();
  return (parts) => {
    const text = JSON.stringify(parts.map((part) => part.replace(/\s+/g, ' ').trim()));
    const hash = createHash('sha256').update(text).digest('hex').slice(0, 32);
    const count = (seen.get(hash) ?? 0) + 1;
    seen.set(hash, count);
    return `${hash}:${count}`;
  };
}
