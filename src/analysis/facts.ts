/** What is known of a live database beyond its schema. Read from the catalogue; the analyser works without it. */
export interface TableFacts {
  /** The planner's estimate; -1 where the table was never analysed. */
  readonly rows: number;
  /** Without indexes. */
  readonly bytes: number;
  readonly indexBytes: number;
  /** Scans and rows written since the statistics were last reset. */
  readonly reads: number;
  readonly writes: number;
}

export interface Facts {
  /** As `server_version_num`: 150018 is 15.18. */
  readonly serverVersion: number;
  /** The server's TimeZone. */
  readonly timeZone: string;
  /** By `schema.name`. */
  readonly tables: ReadonlyMap<string, TableFacts>;
}
