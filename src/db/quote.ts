import { escapeIdentifier, escapeLiteral } from 'pg';

/** An SQL identifier, always in double quotes. */
export const quoteIdentifier = (name: string): string => escapeIdentifier(name);

/** An SQL string literal; for the few places (SET, COPY, DDL) where PostgreSQL takes no parameters. */
export const quoteLiteral = (text: string): string => escapeLiteral(text);

/** `"schema"."name"` */
export const qualify = (schema: string, name: string): string =>
  `${escapeIdentifier(schema)}.${escapeIdentifier(name)}`;
