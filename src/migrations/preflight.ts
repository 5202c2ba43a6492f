import { qualify, quoteIdentifier } from '../db/quote.ts';
import type { Session } from '../db/session.ts';
import type { ErrorCode } from '../errors.ts';
import type { RelationName } from '../sql/relations.ts';
import { vaultSchema } from '../vault/schema.ts';

/** What was looked at before a deployment starts, and what was seen. `unknown`: it could not be read, and why. */
export interface PreflightCheck {
  readonly name: 'rights' | 'writable' | 'replication lag' | 'blocking transactions' | 'publications';
  readonly status: 'pass' | 'fail' | 'unknown';
  readonly detail: string;
  readonly code?: ErrorCode;
}

export interface PreflightRequest {
  readonly session: Session;
  readonly schema: string;
  /** Relations that the plan locks for more than reading. */
  readonly relations: readonly RelationName[];
  /** Whether a step waits for the snapshots of others (`CONCURRENTLY`). */
  readonly waitsForSnapshots: boolean;
  /** Whether Switchback will create its journal in this database. */
  readonly createsJournal: boolean;
  /** Whether what the plan removes is kept in relations of the vault. */
  readonly keeps: boolean;
  readonly maxReplicationLagMs: number;
  readonly longTransactionMs: number;
  readonly publicationsChecked: boolean;
}

/** Looks for what would make a deployment fail or hurt. Reads only; its findings stop nothing by themselves. */
export async function preflight(request: PreflightRequest): Promise<PreflightCheck[]> {
  const writable = await checkWritable(request.session);
  if (writable.status === 'fail') return [writable];
  return [
    writable,
    await checkRights(request),
    await checkReplicationLag(request),
    await checkBlockers(request),
    await checkPublications(request),
  ];
}

async function checkWritable(session: Session): Promise<PreflightCheck> {
  const { rows } = await session.query<{ standby: boolean; read_only: string }>(
    "select pg_catalog.pg_is_in_recovery() as standby, pg_catalog.current_setting('transaction_read_only') as read_only",
  );
  const writable = rows[0]?.standby === false && rows[0].read_only === 'off';
  return writable
    ? { name: 'writable', status: 'pass', detail: 'The server takes writes.' }
    : {
        name: 'writable',
        status: 'fail',
        code: 'PERMISSION_DENIED',
        detail: 'The server is a standby or its transactions are read-only: give the URL of the primary.',
      };
}

/** Creating needs CREATE on the schema; altering, dropping and indexing need the table's owner. */
async function checkRights(request: PreflightRequest): Promise<PreflightCheck> {
  const { rows } = await request.session.query<{
    create_in_schema: boolean | null;
    foreign_relations: string[] | null;
    may_make_vault: boolean;
    role: string;
  }>(
    `select current_user as role,
            pg_catalog.to_regnamespace($3) is not null
              or pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE') as may_make_vault,
            pg_catalog.has_schema_privilege(to_regnamespace($1)::oid, 'CREATE') as create_in_schema,
            (select array_agg(distinct c.oid::regclass::text)
               from unnest($2::text[]) as named(relation)
               join pg_catalog.pg_class c on c.oid = pg_catalog.to_regclass(named.relation)
              where not pg_catalog.pg_has_role(c.relowner, 'USAGE')) as foreign_relations`,
    [
      quoteIdentifier(request.schema),
      request.relations.map((relation) => relationText(relation, request.schema)),
      vaultSchema,
    ],
  );
  const role = rows[0]?.role ?? '';
  const foreign = rows[0]?.foreign_relations ?? [];
  if (rows[0]?.create_in_schema === false)
    return {
      name: 'rights',
      status: 'fail',
      code: 'PERMISSION_DENIED',
      detail: `The role ${role} may not create in schema ${request.schema}: GRANT CREATE ON SCHEMA ${request.schema} TO ${role}.`,
    };
  if (request.keeps && rows[0]?.may_make_vault === false)
    return {
      name: 'rights',
      status: 'fail',
      code: 'PERMISSION_DENIED',
      detail: `The role ${role} may not create the schema ${vaultSchema}, in which what the plan removes is to be kept: GRANT CREATE ON DATABASE to it, or run the SQL in docs/operations.md.`,
    };
  if (foreign.length > 0)
    return {
      name: 'rights',
      status: 'fail',
      code: 'PERMISSION_DENIED',
      detail: `The role ${role} does not own ${foreign.join(', ')}, which the plan changes.`,
    };
  return {
    name: 'rights',
    status: 'pass',
    detail: `The role ${role} may create in schema ${request.schema} and owns what the plan changes.`,
  };
}

async function checkReplicationLag(request: PreflightRequest): Promise<PreflightCheck> {
  const { rows } = await request.session.query<{ replica: string; lag_ms: number | null; visible: boolean }>(
    `select coalesce(nullif(application_name, ''), client_addr::text, pid::text) as replica,
            (extract(epoch from replay_lag) * 1000)::float8 as lag_ms,
            state is not null as visible
       from pg_catalog.pg_stat_replication`,
  );
  if (rows.length === 0)
    return { name: 'replication lag', status: 'pass', detail: 'No replica is connected.' };
  if (rows.some((row) => !row.visible))
    return {
      name: 'replication lag',
      status: 'unknown',
      detail: "The role cannot see the replicas' state: GRANT pg_read_all_stats (or pg_monitor) to it.",
    };
  // An idle replica that has replayed everything reports no lag.
  const late = rows.filter((row) => (row.lag_ms ?? 0) > request.maxReplicationLagMs);
  return late.length === 0
    ? {
        name: 'replication lag',
        status: 'pass',
        detail: `${rows.length} replica(s), none more than ${request.maxReplicationLagMs} ms behind.`,
      }
    : {
        name: 'replication lag',
        status: 'fail',
        code: 'REPLICATION_LAG',
        detail:
          late.map((row) => `${row.replica} is ${Math.round(row.lag_ms ?? 0)} ms behind`).join('; ') +
          `; the policy allows ${request.maxReplicationLagMs} ms.`,
      };
}

/**
 * An old transaction that holds a lock on one of the plan's tables would make each attempt time out; one that holds
 * a snapshot would make CONCURRENTLY wait for it.
 */
async function checkBlockers(request: PreflightRequest): Promise<PreflightCheck> {
  const { rows } = await request.session.query<{
    pid: number;
    application: string;
    role: string | null;
    state: string | null;
    age_ms: number;
    relation: string | null;
  }>(
    `select a.pid, a.application_name as application, a.usename::text as role, a.state,
            (extract(epoch from clock_timestamp() - a.xact_start) * 1000)::float8 as age_ms,
            min(held.relation) as relation
       from pg_catalog.pg_stat_activity a
       left join lateral (
            select l.relation::regclass::text as relation
              from unnest($2::text[]) as named(relation)
              join pg_catalog.pg_locks l on l.relation = pg_catalog.to_regclass(named.relation) and l.pid = a.pid
       ) held on true
      where a.datname = current_database() and a.pid <> pg_catalog.pg_backend_pid() and a.backend_type = 'client backend'
        and a.xact_start < clock_timestamp() - $1 * interval '1 millisecond'
        and (held.relation is not null or ($3 and (a.backend_xmin is not null or a.backend_xid is not null)))
      group by 1, 2, 3, 4, 5 order by age_ms desc limit 20`,
    [
      request.longTransactionMs,
      request.relations.map((relation) => relationText(relation, request.schema)),
      request.waitsForSnapshots,
    ],
  );
  if (rows.length === 0)
    return { name: 'blocking transactions', status: 'pass', detail: 'No long transaction is in the way.' };
  const described = rows.map((row) => {
    const why = row.relation === null ? 'holds a snapshot' : `holds a lock on ${row.relation}`;
    return `process ${row.pid} (${row.application || 'no application_name'}, role ${row.role}, ${row.state}, open for ${Math.round(row.age_ms / 1000)} s) ${why}`;
  });
  return {
    name: 'blocking transactions',
    status: 'fail',
    code: 'BLOCKING_TRANSACTION',
    detail: `${described.join('; ')}. End it with pg_terminate_backend, or wait.`,
  };
}

/** A subscriber of such a publication stops when a table appears that it does not have. */
async function checkPublications(request: PreflightRequest): Promise<PreflightCheck> {
  const { rows } = await request.session.query<{ name: string }>(
    'select pubname::text as name from pg_catalog.pg_publication where puballtables order by 1',
  );
  if (rows.length === 0 || !(request.createsJournal || request.keeps) || request.publicationsChecked)
    return {
      name: 'publications',
      status: 'pass',
      detail:
        rows.length === 0
          ? 'No publication covers all tables.'
          : "No table of Switchback's own will appear, or the policy says that subscribers are ready.",
    };
  return {
    name: 'publications',
    status: 'fail',
    code: 'PUBLICATION_FOR_ALL_TABLES',
    detail:
      `${rows.map((row) => row.name).join(', ')} publish(es) all tables, and this plan makes tables of Switchback's own in the database: ${[
        ...(request.createsJournal ? ['its journal (switchback.step)'] : []),
        ...(request.keeps
          ? ['the vault (switchback_vault), with a table for each thing that is removed']
          : []),
      ].join(', ')}. A subscriber that lacks them stops replicating. See docs/operations.md, ` +
      'then set the policy publicationsChecked.',
  };
}

const relationText = (relation: RelationName, schema: string): string =>
  qualify(relation.schema ?? schema, relation.name);
