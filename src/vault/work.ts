import { v4 as newId } from 'uuid';
import { sqlstateOf } from '../db/errors.ts';
import { quoteIdentifier, quoteLiteral } from '../db/quote.ts';
import type { Session } from '../db/session.ts';
import { AppError } from '../errors.ts';
import { inSavepoint } from './as-vault.ts';
import { inVault } from './entry.ts';
import { vaultSchema } from './schema.ts';

/** Rows that an entry keeps, as a subquery. */
export interface Source {
  readonly entry: string;
  readonly sql: string;
  /** For SQL: the column of a row's place, see `placeName`. */
  readonly at: string;
  /** Names of its columns, for the list of conflicts. */
  readonly columns: readonly string[];
}

/** For SQL: a name that none of the columns has. */
export function placeName(columns: readonly string[]): string {
  let name = ' at';
  while (columns.includes(name)) name += ' ';
  return quoteIdentifier(name);
}

/** Why a row is not put back. `present` is no conflict: it is there already. */
export type Reason =
  | 'present'
  | 'keyReused'
  | 'valueReused'
  | 'parentGone'
  | 'rowGone'
  | 'changedSince'
  | 'referencedSince'
  | 'columnGone'
  | 'tableGone'
  | 'refused';

export interface Unfit {
  readonly entry: string;
  readonly at: string;
  readonly reason: Reason;
  readonly detail: string;
}

/**
 * The table in which a restore notes the rows that it leaves out. It is there as long as the restore's transaction:
 * a temporary one would take a right that a deploying role may not have.
 */
export class Work {
  readonly #session: Session;
  readonly #table = inVault(`work_${newId().replaceAll('-', '')}`);

  private constructor(session: Session) {
    this.#session = session;
  }

  static async open(session: Session): Promise<Work> {
    const work = new Work(session);
    await session.query(
      `create table ${work.#table} (entry uuid not null, at tid not null, n bigint, reason text, detail text not null default '')`,
    );
    return work;
  }

  /** Notes the rows of the source for which the condition, on `s`, holds, and which are not noted yet. */
  async leave(source: Source, reason: Reason, detail: string, condition: string): Promise<number> {
    const { rowCount } = await this.#session.query(
      `insert into ${this.#table} (entry, at, reason, detail)
         select ${quoteLiteral(source.entry)}, s.${source.at}, '${reason}', ${quoteLiteral(detail)} from ${source.sql} s where (${condition}) and ${this.isOpen(source)}`,
    );
    return rowCount;
  }

  /** Rows that were found not to fit when they were put back, by their place. */
  async unfit(source: Source): Promise<Unfit[]> {
    const { rows } = await this.#session.query<Unfit>(
      `select entry, at::text, reason, detail from ${this.#table} where entry = $1 and reason in ('refused', 'valueReused')`,
      [source.entry],
    );
    return rows;
  }

  async leaveUnfit(unfit: readonly Unfit[]): Promise<void> {
    await this.#session.query(
      `insert into ${this.#table} (entry, at, reason, detail)
         select u.entry, u.at::tid, u.reason, u.detail from json_to_recordset($1) u(entry uuid, at text, reason text, detail text)`,
      [JSON.stringify(unfit)],
    );
  }

  /** On `s`: the row is not left out. */
  isOpen(source: Source, alias = 's'): string {
    return `not exists (select from ${this.#table} w where w.entry = ${quoteLiteral(source.entry)} and w.at = ${alias}.${source.at} and w.reason is not null)`;
  }

  /**
   * Does something with all rows of the source that are not left out, as one statement; if that is refused, with ever
   * smaller parts of them, until it is known which rows are refused.
   * @returns for how many rows it was done
   */
  async forAll(source: Source, statement: (condition: string) => string): Promise<number> {
    const run = (condition: string): Promise<number> =>
      inSavepoint(this.#session, async () => (await this.#session.query(statement(condition))).rowCount);
    try {
      return await run(this.isOpen(source));
    } catch (error) {
      if (!isOfRows(error)) throw error;
    }
    const entry = quoteLiteral(source.entry);
    const { rowCount } = await this.#session.query(
      `insert into ${this.#table} (entry, at, n) select ${entry}, s.${source.at}, row_number() over () from ${source.sql} s where ${this.isOpen(source)}`,
    );
    let done = 0;
    const parts: [from: number, to: number][] = [[1, rowCount + 1]];
    for (let part = parts.pop(); part !== undefined; part = parts.pop()) {
      const [from, to] = part;
      const inside = `entry = ${entry} and reason is null and n >= ${from} and n < ${to}`;
      try {
        done += await run(`s.${source.at} in (select at from ${this.#table} where ${inside})`);
      } catch (error) {
        if (!isOfRows(error)) throw error;
        const middle = Math.floor((from + to) / 2);
        if (to - from > 1) parts.push([from, middle], [middle, to]);
        else
          await this.#session.query(
            `update ${this.#table} set reason = 'refused', detail = $1 where ${inside}`,
            [reasonOf(error)],
          );
      }
    }
    await this.#session.query(`delete from ${this.#table} where entry = ${entry} and reason is null`);
    return done;
  }

  /** Writes what was left out of a source into the vault's list of conflicts; how many there are of each kind. */
  async conclude(source: Source): Promise<Partial<Record<Reason, number>>> {
    const columns = source.columns;
    const kept = `jsonb_object(array[${columns.map(quoteLiteral).join()}]::text[], array[${columns.map((name) => `s.${quoteIdentifier(name)}::text`).join()}]::text[])`;
    const entry = quoteLiteral(source.entry);
    await this.#session.query(
      `insert into ${vaultSchema}.conflict (entry, reason, detail, kept)
         select w.entry, w.reason, w.detail, ${columns.length === 0 ? 'null' : kept} from ${this.#table} w join ${source.sql} s on s.${source.at} = w.at
          where w.entry = ${entry} and w.reason <> 'present'`,
    );
    const { rows } = await this.#session.query<{ reason: Reason; count: number }>(
      `select reason, count(*)::float8 as count from ${this.#table} where entry = ${entry} group by 1 order by 1`,
    );
    await this.#session.query(`delete from ${this.#table} where entry = ${entry}`);
    return Object.fromEntries(rows.map(({ reason, count }) => [reason, count]));
  }

  close(): Promise<unknown> {
    return this.#session.query(`drop table ${this.#table}`);
  }
}

/** Refused because of what is in a row: its constraints, its values, its size. */
const isOfRows = (error: unknown): boolean =>
  /^(21|22|23|44|54|P0|42804|428C9)/.test(sqlstateOf(error) ?? '');

const reasonOf = (error: unknown): string =>
  error instanceof AppError && typeof error.details.reason === 'string'
    ? error.details.reason
    : String(error);
