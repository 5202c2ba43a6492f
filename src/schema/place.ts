/** What of a database is decided when it is made: encoding, locale, and the settings that its sessions begin with. */
import { quoteIdentifier, quoteLiteral } from '../db/quote.ts';
import type { Session } from '../db/session.ts';

export interface Place {
  readonly encoding: string;
  readonly collate: string;
  readonly ctype: string;
  /** `c` libc, `i` ICU, `b` built in; null before 15, where there is no choice. */
  readonly provider: string | null;
  readonly locale: string | null;
  readonly icuRules: string | null;
  /** SQL that gives a database the same settings, as far as they bear on what DDL means. */
  settings(database: string): string[];
}

/** Settings that change what a statement of a migration makes. */
const bearing = [
  'search_path',
  'TimeZone',
  'DateStyle',
  'IntervalStyle',
  'default_text_search_config',
  'default_toast_compression',
  'xmloption',
];

export async function readPlace(session: Session): Promise<Place> {
  const { rows } = await session.query<PlaceRow>(
    `select pg_catalog.to_jsonb(d) as database, pg_catalog.pg_encoding_to_char(d.encoding) as encoding,
            coalesce((select s.setconfig from pg_catalog.pg_db_role_setting s
                       where s.setdatabase = d.oid and s.setrole = 0), '{}') as settings
       from pg_catalog.pg_database d where d.datname = pg_catalog.current_database()`,
  );
  const [row] = rows;
  const known = row?.database ?? { datcollate: 'C', datctype: 'C' };
  const settings = (row?.settings ?? []).flatMap((text) => {
    const at = text.indexOf('=');
    const name = text.slice(0, at);
    return bearing.includes(name) ? [{ name, value: text.slice(at + 1) }] : [];
  });
  return {
    encoding: row?.encoding ?? 'UTF8',
    collate: known.datcollate,
    ctype: known.datctype,
    provider: known.datlocprovider ?? null,
    // Its name before 17.
    locale: known.datlocale ?? known.daticulocale ?? null,
    icuRules: known.daticurules ?? null,
    settings: (database) =>
      settings.map(({ name, value }) => {
        // Its value is a list that is kept as it was written, quotes and all.
        const written = name === 'search_path' ? value || "''" : quoteLiteral(value);
        return `alter database ${quoteIdentifier(database)} set ${name} to ${written}`;
      }),
  };
}

interface PlaceRow {
  readonly encoding: string;
  readonly settings: readonly string[];
  readonly database: {
    readonly datcollate: string;
    readonly datctype: string;
    readonly datlocprovider?: string;
    readonly datlocale?: string | null;
    readonly daticulocale?: string | null;
    readonly daticurules?: string | null;
  };
}

/** The options of `CREATE DATABASE`. */
export function placeSql(place: Place): string {
  const parts = [
    `encoding ${quoteLiteral(place.encoding)}`,
    `lc_collate ${quoteLiteral(place.collate)}`,
    `lc_ctype ${quoteLiteral(place.ctype)}`,
  ];
  if (place.provider === 'c') parts.push('locale_provider libc');
  if (place.provider === 'i') parts.push('locale_provider icu');
  if (place.provider === 'i' && place.locale !== null) parts.push(`icu_locale ${quoteLiteral(place.locale)}`);
  if (place.provider === 'i' && place.icuRules !== null)
    parts.push(`icu_rules ${quoteLiteral(place.icuRules)}`);
  if (place.provider === 'b') parts.push('locale_provider builtin');
  if (place.provider === 'b' && place.locale !== null)
    parts.push(`builtin_locale ${quoteLiteral(place.locale)}`);
  return parts.join(' ');
}
