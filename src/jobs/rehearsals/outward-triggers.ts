import { withSession } from '../../db/session.ts';
import type { Target } from '../../db/target.ts';
import { isOwnTriggerSql } from '../../schema/own-triggers.ts';
import { codeReachesBeyond } from '../../sql/cluster-wide.ts';
import { asVault } from '../../vault/as-vault.ts';
import { reachOf } from '../../vault/reach.ts';

/**
 * Why nothing may be tried on a copy of a live schema: a trigger in it would reach beyond the scratch database as soon as there
 * are rows, generated or a migration's own. Only the text of the trigger's function is read, not what that calls in turn.
 * @returns null where there is none
 * @throws AppError `DATABASE_UNREACHABLE`
 */
export async function outwardTriggers(live: Target): Promise<string | null> {
  const { rows } = await withSession(
    live,
    { applicationName: 'switchback:prove', doing: 'looking for triggers' },
    (session) => session.query<{ trigger: string; function: string; text: string }>(triggersSql),
  );
  const found = rows.find(({ text }) => codeReachesBeyond(text));
  return found === undefined
    ? null
    : `The trigger ${found.trigger} runs ${found.function}, which changes what belongs to the whole server or to another one, and would do so from a scratch database, too.`;
}

/**
 * The first of these texts that runs code of the live database which would reach beyond the scratch one: functions that it
 * names, what they call in turn, and the triggers of the tables that it names.
 * @returns its index and the reason; null where none does
 * @throws AppError `DATABASE_UNREACHABLE`
 */
export async function outwardCode(
  live: Target,
  texts: readonly { readonly name: string; readonly sql: string }[],
): Promise<{ readonly index: number; readonly reason: string } | null> {
  return withSession(
    live,
    { applicationName: 'switchback:prove', doing: 'reading the code that migrations run' },
    async (session) => {
      await session.query('begin read only');
      for (const [index, { name, sql }] of texts.entries()) {
        const { code, unbounded } = await asVault(session, () => reachOf(session, [], [], sql));
        // The text itself has been read, as statements.
        if (unbounded || code.some((text) => text !== sql && codeReachesBeyond(text)))
          return {
            index,
            reason: `${name} runs code of the database that changes what belongs to the whole server or to another one, and would do so from a scratch database, too.`,
          };
      }
      return null;
    },
  );
}

const triggersSql = `
  select pg_catalog.quote_ident(t.tgname) || ' of ' || t.tgrelid::pg_catalog.regclass as trigger,
         t.tgfoid::pg_catalog.regprocedure::text as function, p.prosrc as text
    from pg_catalog.pg_trigger t
    join pg_catalog.pg_proc p on p.oid = t.tgfoid
   where not t.tgisinternal and t.tgenabled <> 'D' and not ${isOwnTriggerSql('t')}
   order by 1`;
