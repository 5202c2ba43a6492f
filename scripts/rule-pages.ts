/** The pages of the rules: each from its rule and its fixtures, and one that lists them all. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Rule } from '../src/analysis/define-rule.ts';
import { defaultPolicy } from '../src/analysis/policy.ts';
import { rules } from '../src/analysis/rules/index.ts';
import { effects, severities } from '../src/analysis/violation.ts';
import { showFixture } from '../test/support/rule-fixture.ts';
import { peerTools } from './peer-rules.ts';

const root = path.resolve(import.meta.dirname, '..');

export const rulePages = (): { file: string; content: string }[] => [
  { file: 'docs/rules/README.md', content: overview() },
  ...rules.map((rule) => ({ file: `docs/rules/${rule.id}.md`, content: page(rule) })),
];

/** Rules of other tools that nobody has thought of, or that two places think differently of. */
export function faultsOfPeers(): string[] {
  const mapped = mapping();
  const known = new Set(peerTools.flatMap(({ name, rules: own }) => own.map((rule) => `${name}: ${rule}`)));
  return [
    ...[...mapped]
      .filter(([peer]) => !known.has(peer))
      .map(([peer, ids]) => `${ids.join(', ')}: "${peer}" is no rule of another tool`),
    ...peerTools.flatMap(({ name, rules: own, notOurs }) => [
      ...own
        .filter((rule) => mapped.has(`${name}: ${rule}`) === rule in notOurs)
        .map((rule) =>
          rule in notOurs
            ? `"${name}: ${rule}" has a reason for not being ours, and is named by ${mapped.get(`${name}: ${rule}`)?.join(', ')}`
            : `"${name}: ${rule}" is named by no rule of ours, and has no reason for that`,
        ),
      ...Object.keys(notOurs)
        .filter((rule) => !own.includes(rule))
        .map((rule) => `"${name}: ${rule}" is not in the tool's list`),
    ]),
  ];
}

/** Ids of our rules by a peer's rule. */
function mapping(): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const { id, peers } of rules)
    for (const peer of peers) found.set(peer, [...(found.get(peer) ?? []), id]);
  return found;
}

const generated = '<!-- Written by `npm run generate`. -->';

function page({ id, severity, effect, summary, why, peers }: Rule): string {
  const fixture = (file: string): string =>
    `\`\`\`sql\n${showFixture(readFileSync(path.join(root, 'test/fixtures/rules', id, file), 'utf8'))}\n\`\`\``;
  return [
    generated,
    `# ${id}`,
    `${sentence(summary)}`,
    `Severity: \`${severity}\`${effect === null ? '' : `, effect: ${link(effect)}`} (${severity === 'notice' ? '[an opinion](README.md#verdicts), shown on request' : 'where [facts](README.md#what-sharpens-a-verdict) do not say otherwise'}).`,
    why,
    '## Bad',
    fixture('bad.sql'),
    '## Good',
    fixture('good.sql'),
    '## Where it is meant',
    `Say so above the statement; the reason is part of the report:`,
    `\`\`\`sql\n-- switchback: allow ${id}: <reason>\n\`\`\``,
    '`allow-file` in place of `allow` is for the whole file.',
    ...(peers.length === 0
      ? []
      : ['## In other tools', peers.map((peer) => `- ${inMarkdown(peer)}`).join('\n')]),
  ]
    .join('\n\n')
    .concat('\n');
}

function overview(): string {
  return [
    generated,
    '# Rules',
    'What `switchback analyse <folder>` looks for, and every plan. A rule looks at one change and at what is known before it: the schema as the earlier migrations of the folder leave it (or as a database has it), the transaction, the statement.',
    '## Verdicts',
    table(
      ['verdict', ''],
      [
        [
          '`dangerous`',
          'The old application breaks (renames, a dropped column that the previous release’s schema file still has), a table or a schema is lost beyond recall, or the migration cannot but fail.',
        ],
        [
          '`caution`',
          'It may fail on existing data, it blocks reads or writes for a time that grows with the table, or it drops a column or changes all rows: what belongs to many a good migration, once somebody has looked.',
        ],
        [
          '`safe`',
          'Only brief catalogue locks on existing tables, or anything at all on tables made in the same migration.',
        ],
      ],
    ),
    'A migration’s verdict is that of its worst violation; the folder’s that of its worst migration. A `notice` is an opinion: it is shown on request (`--notices`), and has no part in a verdict. Neither has what a comment in the file allows.',
    '`dataLoss` is said of what a change of the schema takes with it: columns, tables, schemas, and all rows by TRUNCATE. What DELETE and UPDATE do to rows is what their author wrote them for: `unbounded-write` speaks of them, without that effect.',
    '## What sharpens a verdict',
    [
      'Without a database a table has any size, and the worst is assumed. What is known of one makes it precise:',
      [
        `- **Sizes.** Where the work that a lock lasts for is estimated at ${defaultPolicy.thresholds.briefSeconds} s or less (the policy’s \`briefSeconds\`) the violation is \`safe\`; otherwise its message names the rows, the bytes and the time.`,
        '- **What is deployed together.** A table that an earlier migration of the same deployment makes is used by no release yet, and is empty: what is done to it is `safe`.',
        '- **The version and settings of the server**, such as its TimeZone, decide what PostgreSQL has to rewrite.',
        '- **The schema file of the release that still runs** (`--previous-schema`) says which columns it selects: dropping one of them is `dangerous`.',
        '- **The history** says what has been applied, and whether it still is what the folder has.',
        '- **The policy** of a team gives a rule another severity, or turns it off.',
      ].join('\n'),
    ].join('\n\n'),
    '## Allowing a violation',
    'A comment above a statement, or in it, allows one rule there; with `allow-file` in the whole file. The reason is part of the report:',
    '```sql\n-- switchback: allow drop-column: no release has selected it since 2.3\nALTER TABLE "User" DROP COLUMN "legacyId";\n```',
    'A comment that names no rule, gives no reason, or allows what does not fire is itself reported, as [`faulty-suppression`](faulty-suppression.md) (`caution`).',
    '## Effects',
    table(
      ['effect', 'what happens to tables that existed before'],
      effects.map((effect) => [`<a id="${effect.toLowerCase()}"></a>\`${effect}\``, effectTexts[effect]]),
    ),
    '## All rules',
    ...[...severities].reverse().flatMap((severity) => {
      const own = rules.filter((rule) => rule.severity === severity);
      if (own.length === 0) return [];
      return [
        `### ${severity}`,
        table(
          ['rule', 'effect', ''],
          own.map(({ id, effect, summary }) => [
            `[${id}](${id}.md)`,
            effect === null ? '' : `\`${effect}\``,
            inMarkdown(summary),
          ]),
        ),
      ];
    }),
    '## Rules of other tools',
    'Which rule of ours has the same effect in view, or why none has.',
    ...peers(),
  ]
    .join('\n\n')
    .concat('\n');
}

const effectTexts: Readonly<Record<(typeof effects)[number], string>> = {
  rewrite: 'Every row is written anew, while nobody reads or writes.',
  indexBuild: 'An index is built, while nobody writes, or nobody reads either.',
  foreignKeyScan: 'Every row is looked up in another table, while nobody writes to either.',
  checkScan: 'Every row is checked, while nobody reads or writes.',
  notNullScan: 'Every row is looked at for NULL, while nobody reads or writes.',
  longExclusiveLock: 'A lock that keeps out reads or writes is held while something else takes its time.',
  dataLoss: 'Values are gone, and only a backup brings them back.',
  breaksOldVersion: 'Queries of the release that still runs fail.',
  mayFailOnData: 'Whether it succeeds depends on what the table holds.',
};

function peers(): string[] {
  const mapped = mapping();
  return peerTools.flatMap(({ name, version, rules: own, notOurs }) => [
    `### ${name} (${version})`,
    table(
      ['its rule', 'ours'],
      own.map((rule) => [
        `\`${rule}\``,
        mapped
          .get(`${name}: ${rule}`)
          ?.map((id) => `[${id}](${id}.md)`)
          .join(', ') ?? `None. ${inMarkdown(notOurs[rule] ?? '')}`,
      ]),
    ),
  ]);
}

const link = (effect: string): string => `[\`${effect}\`](README.md#${effect.toLowerCase()})`;

const sentence = (text: string): string => `${inMarkdown(text)}.`;

const inMarkdown = (text: string): string => text.replaceAll('|', '\\|').replaceAll('<', '&lt;');

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
