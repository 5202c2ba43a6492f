import type { ChangeOf } from '../changes/change.ts';
import type { Context } from '../context.ts';
import { defineRule } from '../define-rule.ts';
import { lockOn, madeName } from '../phrases.ts';
import { type TypeChange, typeChange } from '../schema/type-change.ts';

export const typeChangeRewrites = defineRule({
  id: 'type-change-rewrites',
  severity: 'caution',
  effect: 'rewrite',
  summary: 'A change of a column’s type for which every row is written anew',
  why: 'Unless the old values can stay as they are, ALTER COLUMN … TYPE writes the table and all its indexes anew while it holds ACCESS EXCLUSIVE: neither reads nor writes get through, and twice the disk space is needed meanwhile. Free are, among others: a longer varchar or none at all, varchar to text, a wider numeric of the same scale, more digits of a timestamp, and timestamp to timestamptz (without a number of digits) where TimeZone is UTC. Otherwise add a second column, fill it in batches while a trigger keeps it current, and change over.',
  peers: [
    'squawk: changing-column-type',
    'postgres-language-server: changingColumnType',
    'eugene: E5',
    'eugene: E10',
    'strong_migrations: change_column',
    'online_migrations: change_column',
    'Atlas: PG301',
    'Bytebase: column: disallow-change-type',
  ],
  on: ['changeType'],
  check(change, context) {
    const { table, column, at } = change;
    if (context.isNew(table) || !willRewrite(change, context)) return null;
    const { unlessUtc, rounds } = costOf(change, context);
    const on = context.name(table);
    const shadow = madeName(context, column, 'new');
    return {
      table,
      at,
      message: [
        `Changing the type of ${context.quote(column)} holds ${lockOn(context, table, 'ACCESS EXCLUSIVE')}, while every row and every index is written anew.`,
        rounds ? 'Values are rounded to the new precision, for good.' : '',
        unlessUtc ? "Where the session's TimeZone is UTC nothing is written." : '',
      ]
        .filter((sentence) => sentence !== '')
        .join(' '),
      remedy: unlessUtc
        ? `SET LOCAL TimeZone = 'UTC'; before it, if the values mean UTC (Prisma writes UTC): then PostgreSQL 12 and later keeps the rows as they are.`
        : [
            `-- a second column, kept current by a trigger and filled in batches; then change over:`,
            `ALTER TABLE ${on} ADD COLUMN ${shadow} …;`,
            `-- fill it, then in one short transaction:`,
            `ALTER TABLE ${on} RENAME COLUMN ${context.quote(column)} TO ${madeName(context, column, 'old')};`,
            `ALTER TABLE ${on} RENAME COLUMN ${shadow} TO ${context.quote(column)};`,
          ].join('\n'),
      work: { kind: 'rewrite', table },
    };
  },
});

/** Decided before the change is made: what the same statement does after it sees the new type already. */
const costs = new WeakMap<ChangeOf<'changeType'>, TypeChange>();

export function costOf(change: ChangeOf<'changeType'>, context: Context): TypeChange {
  const cost =
    costs.get(change) ??
    typeChange(context.column(change.table, change.column) ?? null, change, context.schema);
  costs.set(change, cost);
  return cost;
}

/** What the database and the file say about TimeZone decides between timestamp and timestamptz. */
export function willRewrite(change: ChangeOf<'changeType'>, context: Context): boolean {
  const { rewrite, unlessUtc } = costOf(change, context);
  return rewrite && !(unlessUtc && isUtc(context));
}

function isUtc(context: Context): boolean {
  const set = context.settings.get('timezone');
  const zone = set ?? context.facts?.timeZone ?? '';
  return /^(utc|etc\/utc|gmt|etc\/gmt|zulu|etc\/zulu|universal|0|\+00(:00)?)$/i.test(zone);
}
