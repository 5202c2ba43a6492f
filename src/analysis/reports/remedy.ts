/** Tells the SQL of a remedy from the words around it. */

export interface RemedyPart {
  readonly sql: boolean;
  readonly text: string;
}

const verb =
  '(?:ALTER|ANALYZE|BEGIN|COMMENT|COMMIT|COPY|CREATE|DELETE|DO|DROP|GRANT|INSERT|LOCK|MERGE|REFRESH|REINDEX|RESET|SELECT|SET|TRUNCATE|UPDATE|VACUUM|WITH)';
/** A statement, or words and a colon before one. Words are not written in capitals, but a file's statement may be in small letters. */
const inCapitals = new RegExp(`^(?:(.*?:) )?(${verb}\\s.*)$`);
const inAnyLetters =
  /^(?:(.*?:) )?((?:alter|create|drop|reindex|refresh)\s+(?:unique\s+)?(?:index|materialized|table|type|view)\s.*)$/i;
const begins = new RegExp(`^${verb}\\s`);
const ends = (text: string): boolean => /;\s*(--.*)?$/.test(text);

/** The parts in order. Lines of one sort that follow one another are one part. */
export function remedyParts(remedy: string): RemedyPart[] {
  const parts: RemedyPart[] = [];
  const add = (sql: boolean, text: string): void => {
    const last = parts.at(-1);
    if (last?.sql === sql) parts[parts.length - 1] = { sql, text: `${last.text}\n${text}` };
    else parts.push({ sql, text });
  };
  const lines = remedy.split('\n');
  let open = false;
  for (const [index, text] of lines.entries()) {
    if (open || text.startsWith('--')) {
      add(true, text);
      open &&= !ends(text);
      continue;
    }
    const [, words, statement = ''] = inCapitals.exec(text) ?? inAnyLetters.exec(text) ?? [];
    if (statement !== '' && ends(statement)) {
      if (words !== undefined) add(false, words);
      add(true, statement);
      continue;
    }
    // A statement of several lines.
    open = begins.test(text) && lines.slice(index + 1).some(ends);
    add(open, text);
  }
  return parts;
}
