/** The text of `pg_dump --schema-only`, taken apart into its entries. */
import { type ProgramEnd, type Programs, runProgram } from '../db/programs.ts';
import type { Target } from '../db/target.ts';
import { AppError } from '../errors.ts';

export interface DumpRequest {
  readonly source: Target;
  readonly programs: Programs;
  /** How long pg_dump waits for a table that another session has locked. */
  readonly lockWaitSeconds: number;
  /** Whether it tells to whom objects belong, and what is published. */
  readonly outward?: boolean;
  readonly applicationName: string;
  readonly signal: AbortSignal;
}

/** @throws AppError `SCHEMA_COPY_FAILED`; the signal's reason */
export async function dumpSchema(request: DumpRequest): Promise<string> {
  const { source, programs, signal } = request;
  const parts: Buffer[] = [];
  for await (const chunk of runProgram(programs, 'pg_dump', {
    arguments: [
      ...['--schema-only', '--no-password', `--lock-wait-timeout=${request.lockWaitSeconds * 1_000}`],
      ...['--encoding=UTF8', '--quote-all-identifiers'],
      ...['--no-tablespaces', '--no-security-labels', '--no-subscriptions'],
      ...(request.outward === true ? [] : ['--no-owner', '--no-publications']),
      ...['--exclude-schema=switchback', '--exclude-schema=switchback_vault*'],
    ],
    environment: { ...source.libpqEnvironment, PGAPPNAME: request.applicationName },
    signal,
    failure: (end) => failed(source, end),
  }))
    parts.push(chunk);
  return Buffer.concat(parts).toString('utf8');
}

function failed(source: Target, end: ProgramEnd): AppError {
  const how = end.killedBy === null ? `exit code ${end.exitCode}` : `killed by ${end.killedBy}`;
  return new AppError(
    'SCHEMA_COPY_FAILED',
    `pg_dump could not read the schema of ${source.display} (${how}): ${end.stderr || how}. The database is as it was.`,
    { exitCode: end.exitCode, killedBy: end.killedBy, stderr: end.stderr },
  );
}

/** One object of a dump, or what belongs to one: a comment, grants. */
export interface DumpEntry {
  /** `TABLE`, `COMMENT`, `ACL`; of the settings at the dump's begin `SETTINGS`. */
  readonly type: string;
  readonly name: string;
  readonly schema: string;
  readonly sql: string;
}

/**
 * Text in quotes of any kind, comments, psql's own commands, and the heads that pg_dump puts before each entry. What
 * looks like a head within a function's body is within its quotes.
 */
const tokens =
  /'(?:[^']|'')*'|"(?:[^"]|"")*"|\$(?<tag>[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$[\s\S]*?\$\k<tag>\$|^--\n-- (?:Data for )?Name: (?<name>.*); Type: (?<type>[^;\n]*); Schema: (?<schema>[^;\n]*); Owner:.*\n--\n|^\\(?<command>.*)\n|--.*|\/\*[\s\S]*?\*\//gm;

export function entriesOf(dump: string): DumpEntry[] {
  const entries: DumpEntry[] = [];
  let current = { type: 'SETTINGS', name: '', schema: '' };
  let sql = '';
  let from = 0;
  const close = (): void => {
    if (sql.trim() !== '') entries.push({ ...current, sql: sql.trim() });
    sql = '';
  };
  for (const match of dump.matchAll(tokens)) {
    const { name, type, schema, command } = match.groups ?? {};
    if (type === undefined && command === undefined) continue;
    sql += dump.slice(from, match.index);
    from = match.index + match[0].length;
    if (type === undefined) continue;
    close();
    current = { type, name: name ?? '', schema: schema ?? '' };
  }
  sql += dump.slice(from);
  close();
  return entries;
}

/** At an entry's end. Settings for the entries behind it may follow. */
const givesOwner = /(?:^|\n)(?<owner>ALTER [^;\n]* OWNER TO [^;\n]*;)(?<settings>(?:\s*SET [^;\n]*;)*)$/;

/** The object itself, and the statement that gives it to its owner: whoever may make the one may not always do the other. */
export function ownerApart(entry: DumpEntry): { readonly made: DumpEntry; readonly owner: string | null } {
  const found = givesOwner.exec(entry.sql);
  const { owner, settings = '' } = found?.groups ?? {};
  if (found === null || owner === undefined) return { made: entry, owner: null };
  return { made: { ...entry, sql: `${entry.sql.slice(0, found.index)}${settings}`.trim() }, owner };
}

/** What has an effect outside of its database, or needs what is not copied. */
const kept =
  /^(EVENT TRIGGER|FOREIGN DATA WRAPPER|FOREIGN SERVER|SERVER|USER MAPPING|FOREIGN TABLE|SUBSCRIPTION|DATABASE|LARGE OBJECT|BLOB)\b/;

export const staysBehind = ({ type, name }: DumpEntry): boolean =>
  kept.test(type) || (/^(COMMENT|ACL|SECURITY LABEL)$/.test(type) && kept.test(name));
