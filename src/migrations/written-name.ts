import type { WrittenName } from '../vault/removals.ts';

/** A name as it stands in a text for `regclass`: `"User_id_seq"`, `public.users`. */
export function parsedName(text: string): WrittenName {
  const parts = [...text.matchAll(/"((?:[^"]|"")*)"|([^".\s]+)/g)].map(([, quoted, bare]) =>
    quoted === undefined ? (bare ?? '').toLowerCase() : quoted.replaceAll('""', '"'),
  );
  return { schema: parts.at(-2) ?? null, name: parts.at(-1) ?? '' };
}
