import { withSession } from '../../db/session.ts';
import type { Target } from '../../db/target.ts';
import { isOwnTriggerSql } from '../../schema/own-triggers.ts';
import { codeReachesBeyond } from '../../sql/cluster-wide.ts';

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

const triggersSql = `
  select pg_catalog.quote_ident(t.tgname) || ' of ' || t.tgrelid::pg_catalog.regclass as trigger,
         t.tgfoid::pg_catalog.regprocedure::text as function, p.prosrc as text
    from pg_catalog.pg_trigger t
    join pg_catalog.pg_proc p on p.oid = t.tgfoid
   where not t.tgisinternal and t.tgenabled <> 'D' and not ${isOwnTriggerSql('t')}
   order by 1`;
