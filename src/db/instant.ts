/**
 * A `timestamptz` as text that says the same whatever the session's DateStyle is: a migration's file, or a database, may
 * have set one that the driver does not read. `new Date()` reads it; NULL stays NULL.
 */
export const instantSql = (column: string): string =>
  `pg_catalog.to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;

export const instantOf = (text: string | null): Date | null => (text === null ? null : new Date(text));
