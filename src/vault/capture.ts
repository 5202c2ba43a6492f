import { sqlstateOf } from '../db/errors.ts';
import { quoteIdentifier, quoteLiteral } from '../db/quote.ts';
import type { Session } from '../db/session.ts';
import { asVault, inSavepoint, textSettings } from './as-vault.ts';
import { inVault, nameEntry, record, recount } from './entry.ts';
import { keyBy, type Origin, originIn } from './origins.ts';
import type { VaultContext } from './removals.ts';
import { vaultSchema } from './schema.ts';
import { asTexts, columnFacts, type Table } from './table.ts';

interface Trap {
  readonly id: string;
  readonly relation: string;
  readonly table: Table;
  /** Its trigger is still there. */
  set: boolean;
}

/**
 * Row triggers that write down every row that a statement inserts, updates or deletes, before and after, as texts.
 * They see what cascades do, and what happens under `session_replication_role = replica`.
 */
export class Capture {
  readonly #session: Session;
  readonly #context: VaultContext;
  readonly #traps: Trap[];

  private constructor(session: Session, context: VaultContext, traps: Trap[]) {
    this.#session = session;
    this.#context = context;
    this.#traps = traps;
  }

  /**
   * The tables must be in the order in which they may be locked. Our settings must be in force. What the migration has
   * made itself is not watched: nothing in it is older.
   */
  static async start(session: Session, tables: readonly Table[], context: VaultContext): Promise<Capture> {
    const traps: Trap[] = [];
    const always = await isReplica(session);
    for (const table of tables) {
      const origin = originIn(context, table);
      if (origin.made) continue;
      const { id, relation } = nameEntry('changes');
      const key = keyBy(table, origin);
      const watched = watchedColumns(table, origin, key);
      await session.query(
        [trapSql(table, watched, relation), ...(always ? [alwaysSql(table, relation)] : [])].join('; '),
      );
      const facts = {
        columns: columnFacts(table).filter(({ name }) => watched.has(name)),
        root: table.root,
      };
      await record(
        session,
        {
          id,
          kind: 'changes',
          schema: table.schema,
          table: table.name,
          relation,
          keyColumns: key,
          facts,
          origin,
          rows: 0,
        },
        context,
      );
      traps.push({ id, relation, table, set: true });
    }
    await switchOn(session, traps, true);
    return new Capture(session, context, traps);
  }

  get entries(): string[] {
    return this.#traps.map(({ id }) => id);
  }

  /** After the statement. An entry of a table in which nothing changed is not kept. */
  async stop(): Promise<void> {
    const session = this.#session;
    await asVault(session, async () => {
      await switchOn(session, this.#traps, false);
      for (const trap of this.#traps) {
        trap.set = !(await takeTrap(session, trap));
        await recount(session, trap.id, trap.relation, this.#context);
        if (trap.set) continue;
        const { rows } = await session.query(
          `delete from ${vaultSchema}.entry where id = $1 and rows = 0 returning id`,
          [trap.id],
        );
        if (rows.length === 0) continue;
        await session.query(`drop table ${inVault(trap.relation)}`);
        this.#traps.splice(this.#traps.indexOf(trap), 1, { ...trap, id: '' });
      }
    });
    this.#traps.splice(0, this.#traps.length, ...this.#traps.filter(({ id }) => id !== ''));
  }

  /**
   * PostgreSQL leaves a table's triggers alone while deferred constraints wait to be checked for it: those go last, when
   * COMMIT would check them anyway.
   */
  async end(): Promise<void> {
    const session = this.#session;
    if (!this.#traps.some(({ set }) => set)) return;
    await session.query('set constraints all immediate');
    await asVault(session, async () => {
      for (const trap of this.#traps) if (trap.set) trap.set = !(await takeTrap(session, trap));
    });
  }
}

/** Those that are older than the migration, and those by which rows are found; with the names by which they are kept. */
function watchedColumns(
  table: Table,
  origin: Origin,
  key: readonly string[] | null,
): ReadonlyMap<string, string> {
  return new Map(
    table.columns.flatMap(({ name, generated }): [string, string][] => {
      const as = generated === '' ? origin.keptAs(name) : null;
      return as === null || (origin.was(name) === null && key?.includes(name) !== true) ? [] : [[name, as]];
    }),
  );
}

const triggerOf = (relation: string): string => quoteIdentifier(` switchback_${relation}`);

/**
 * The trigger's name sorts first: of a row that another trigger changes again, this change comes before that one. The
 * function runs as its owner, since whoever changes rows need not be allowed into the vault.
 */
function trapSql(table: Table, watched: ReadonlyMap<string, string>, relation: string): string {
  const texts = (of: string): string => asTexts([...watched.keys()], of, [...watched.values()]);
  const write = (op: string, old: boolean, fresh: boolean): string =>
    `insert into ${inVault(relation)} (op, old, new) values ('${op}', ${old ? texts('old') : 'null'}, ${fresh ? texts('new') : 'null'});`;
  const body = `begin
    if tg_op = 'INSERT' then ${write('I', false, true)}
    elsif tg_op = 'UPDATE' then ${write('U', true, true)}
    else ${write('D', true, false)}
    end if;
    return null;
  end`;
  return `
    create table ${inVault(relation)} (number bigint generated always as identity, op text not null, old jsonb, new jsonb);
    create function ${inVault(relation)}() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp ${textSettings}
      as ${quoteLiteral(body)};
    revoke all on function ${inVault(relation)}() from public;
    create trigger ${triggerOf(relation)} after insert or update or delete on ${table.sql} for each row
      when (coalesce(current_setting('switchback.${relation}', true), '') = 'on') execute function ${inVault(relation)}()`;
}

const alwaysSql = (table: Table, relation: string): string =>
  `alter table ${table.sql} enable always trigger ${triggerOf(relation)}`;

/** Only then: ALTER TABLE is refused while deferred constraints of the table wait to be checked, CREATE TRIGGER is not. */
async function isReplica(session: Session): Promise<boolean> {
  const { rows } = await session.query<{ role: string }>(
    "select current_setting('session_replication_role') as role",
  );
  return rows[0]?.role !== 'origin';
}

async function switchOn(session: Session, traps: readonly Trap[], on: boolean): Promise<void> {
  for (const { relation } of traps)
    await session.query('select set_config($1, $2, true)', [`switchback.${relation}`, on ? 'on' : 'off']);
}

/** Whether it is gone now. */
async function takeTrap(session: Session, { relation, table }: Trap): Promise<boolean> {
  try {
    await inSavepoint(session, async () => {
      const { rows } = await session.query<{ name: string | null }>(
        'select (select c.oid::regclass::text from pg_class c where c.oid = $1) as name',
        [table.oid],
      );
      const name = rows[0]?.name ?? null;
      if (name !== null) await session.query(`drop trigger if exists ${triggerOf(relation)} on ${name}`);
      await session.query(`drop function ${inVault(relation)}()`);
    });
    return true;
  } catch (error) {
    if (sqlstateOf(error) === '55006') return false;
    throw error;
  }
}
