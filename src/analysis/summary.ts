/** What a folder of migrations holds, in figures. */

/** A file of the folder, by its path below it. */
export interface FolderFile {
  readonly path: string;
  readonly lines: number;
  readonly bytes: number;
}

export interface SummaryInput {
  /** In the order in which they are applied. */
  readonly migrations: readonly { readonly name: string; readonly sql: string }[];
  /** All files; the migrations' own may be left out. */
  readonly files: readonly FolderFile[];
  /** Content of `migration_lock.toml`; null where there is none. */
  readonly lockFile: string | null;
}

export interface Summary {
  readonly migrations: number;
  /** SQL files: a plain one beside the migrations (a reference) counts too. */
  readonly files: number;
  /** Of all these files. */
  readonly lines: number;
  /** At most three, longest first; the first migration, which is long by nature, is not among them. */
  readonly largest: readonly { readonly name: string; readonly lines: number }[];
  /** At most five, newest first; a name without a date has no place here. */
  readonly recent: readonly { readonly name: string; readonly date: string }[];
  readonly provider: string | null;
  /** As the migrations are applied; what is no migration's stands behind them, by name. */
  readonly tree: readonly { readonly path: string; readonly lines: number }[];
}

export function summarise({ migrations, files, lockFile }: SummaryInput): Summary {
  const counted = migrations.map(({ name, sql }) => ({ name, lines: countLines(sql) }));
  const tree = treeOf(counted, files);
  const sqlFiles = tree.filter(({ path }) => /\.sql$/i.test(path));
  return {
    migrations: migrations.length,
    files: sqlFiles.length,
    lines: sqlFiles.reduce((sum, { lines }) => sum + lines, 0),
    largest: counted
      .slice(1)
      .sort((a, b) => b.lines - a.lines)
      .slice(0, 3),
    recent: migrations
      .flatMap(({ name }) => {
        const date = dateOf(name);
        return date === null ? [] : [{ name, date }];
      })
      // Of two with the same date the one that is applied later is the newer.
      .reverse()
      .sort((a, b) => compare(b.date, a.date))
      .slice(0, 5),
    provider: lockFile === null ? null : providerOf(lockFile),
    tree,
  };
}

/** As `wc -l` counts, but a last line without a newline is one too. */
export function countLines(text: string): number {
  let lines = 0;
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) lines += 1;
  return text === '' || text.endsWith('\n') ? lines : lines + 1;
}

/**
 * The date with which a migration's name begins: `2026-02-22T01:12:00Z`, or `2026-02-22` where it tells the day only.
 * Null where it begins with none, or with one that no calendar has.
 */
export function dateOf(name: string): string | null {
  const [, year, month, day, hours, minutes, seconds] =
    /^(\d{4})(\d{2})(\d{2})(?:(\d{2})(\d{2})(\d{2}))?(?!\d)/.exec(name) ?? [];
  if (year === undefined) return null;
  const date = `${year}-${month}-${day}`;
  const instant = `${date}T${hours ?? '00'}:${minutes ?? '00'}:${seconds ?? '00'}.000Z`;
  const time = new Date(instant);
  // JavaScript takes 31 February for 3 March.
  if (Number.isNaN(time.getTime()) || time.toISOString() !== instant) return null;
  return hours === undefined ? date : instant.replace('.000', '');
}

/** What `migration_lock.toml` names; null where it names nothing. */
export const providerOf = (lockFile: string): string | null =>
  /^\s*provider\s*=\s*"([^"]*)"/m.exec(lockFile)?.[1] ?? null;

function treeOf(
  migrations: readonly { name: string; lines: number }[],
  files: readonly FolderFile[],
): { path: string; lines: number }[] {
  const lines = new Map(files.map((file) => [file.path, file.lines]));
  for (const migration of migrations) lines.set(`${migration.name}/migration.sql`, migration.lines);
  const places = new Map(migrations.map(({ name }, place) => [name, place]));
  const placeOf = (path: string): number => places.get(path.split('/', 1)[0] ?? '') ?? migrations.length;
  return [...lines]
    .map(([path, count]) => ({ path, lines: count }))
    .sort((a, b) => placeOf(a.path) - placeOf(b.path) || a.path.localeCompare(b.path, 'en'));
}

const compare = (a: string, b: string): number => (a < b ? -1 : Number(a > b));
