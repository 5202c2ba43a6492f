/** Since 18 a generated column may be computed when it is read, which pg-delta takes for a stored one. */
import type { Fingerprint } from './fingerprint.ts';

const name = '"(?:[^"]|"")*"';
const added = new RegExp(
  `^(ALTER TABLE (?<path>${name}\\.${name}) ADD COLUMN (?<column>${name}) .* GENERATED ALWAYS AS \\(.*\\)) STORED( NOT NULL)?$`,
  's',
);

/**
 * @param to the schema that the statements make
 * @returns the statements, and what they make of such columns, by the names of the fingerprint's facts
 */
export function withVirtual(
  statements: readonly string[],
  to: Fingerprint,
): { readonly statements: readonly string[]; readonly virtual: ReadonlySet<string> } {
  const virtual = new Set<string>();
  return {
    virtual,
    statements: statements.map((sql) => {
      const { path, column } = added.exec(sql)?.groups ?? {};
      if (path === undefined || column === undefined) return sql;
      const fact = `column ${unquoted(`${path}.${column}`)}`;
      if (!/ virtual as /.test(to.facts.get(fact) ?? '')) return sql;
      virtual.add(fact);
      return sql.replace(added, '$1 VIRTUAL$4');
    }),
  };
}

const unquoted = (path: string): string =>
  (path.match(new RegExp(name, 'g')) ?? []).map((part) => part.slice(1, -1).replaceAll('""', '"')).join('.');
