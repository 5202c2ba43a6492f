import type { Config } from '../config.ts';
import type { Embedded } from '../embedded/embedded.ts';
import type { FirstToken } from './first-token.ts';

export interface Greeted {
  readonly url: string;
  readonly embedded: Pick<Embedded, 'folder' | 'orphan'> | null;
  readonly first: Pick<FirstToken, 'token' | 'file'> | null;
  readonly databases: Config['databases'];
}

/** What a first user needs to know, line by line. */
export function greeting({ url, embedded, first, databases }: Greeted): string[] {
  return [
    `Switchback is up at ${url}`,
    ...(embedded === null ? [] : aboutServer(embedded)),
    ...(first === null ? [] : [`  token     ${first.token}`, `            (kept in ${first.file})`]),
    ...(first === null ? [] : ['', ...toTry(url, first.token, databases[0]?.name)]),
    '',
    'Ctrl-C stops it.',
  ];
}

const aboutServer = ({ folder, orphan }: Pick<Embedded, 'folder' | 'orphan'>): string[] => [
  `  data      ${folder} (embedded PostgreSQL 15)`,
  ...(orphan === null
    ? []
    : [`            (the server of an earlier run, process ${orphan}, was stopped first)`]),
];

function toTry(url: string, token: string, database: string | undefined): string[] {
  const call = `  curl -H 'authorization: Bearer ${token}'`;
  if (database === undefined)
    return [
      'No database is registered yet: see "databases" in the configuration. Try:',
      '',
      `${call} ${url}/api/jobs`,
    ];
  const json = `-H 'content-type: application/json' -d '{"database":"${database}"}'`;
  return [
    `Try a dry run on the database "${database}", then a deployment:`,
    '',
    `${call} ${json} ${url}/api/plans`,
    `${call} ${json} ${url}/api/deployments`,
  ];
}
