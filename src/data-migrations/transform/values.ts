/** Values of one column between PostgreSQL's text and JavaScript. */
import { type Nested, parseArray, printArray } from './array-text.ts';
import type { Codec, Column } from './columns.ts';

/** A value that its column cannot hold; the message says why, and never shows the value. */
export class Unfit extends Error {}

/** @param text without COPY's escapes */
export function parseValue(codec: Codec, text: string): unknown {
  switch (codec.kind) {
    case 'boolean':
      return text === 't';
    case 'integer':
      return Number(text);
    case 'bigint':
      return BigInt(text);
    case 'float':
      return Number(text);
    case 'json':
    case 'jsonb':
      return JSON.parse(text);
    case 'bytes':
      return Buffer.from(text.slice(2), 'hex');
    case 'array':
      return parseArray(text, (item) => parseValue(codec.of, item)) satisfies Nested<unknown>;
    case 'numeric':
    case 'text':
    case 'instant':
      return text;
  }
}

/**
 * Text that PostgreSQL reads as this value; no NULL.
 * @throws Unfit
 */
export function printValue({ codec, type }: Pick<Column, 'codec' | 'type'>, value: unknown): string {
  switch (codec.kind) {
    case 'boolean':
      if (typeof value === 'boolean') return value ? 't' : 'f';
      throw unfit(type, 'a boolean', value);
    case 'integer':
      return printInteger(codec, type, value);
    case 'bigint':
      return printBigint(type, value);
    case 'float':
      return printFloat(codec.single, type, value);
    case 'numeric':
      return printNumeric(type, value);
    case 'json':
    case 'jsonb':
      return printJson(type, value);
    case 'bytes':
      if (value instanceof Uint8Array) return `\\x${hex(value)}`;
      throw unfit(type, 'a Buffer or Uint8Array', value);
    case 'array':
      return printItems(codec.of, type, value);
    case 'instant':
      return value instanceof Date ? printDate(type, value) : printText(type, 'a string or a Date', value);
    case 'text':
      return printText(type, 'a string', value);
  }
}

function printInteger({ least, most }: Codec & { kind: 'integer' }, type: string, value: unknown): string {
  const number = typeof value === 'bigint' ? Number(value) : value;
  if (typeof number !== 'number' || !Number.isInteger(number)) throw unfit(type, 'a whole number', value);
  if (number < least || number > most) throw new Unfit(`is out of the range of ${type}`);
  return String(number);
}

function printBigint(type: string, value: unknown): string {
  if (typeof value !== 'bigint' && !Number.isSafeInteger(value))
    throw unfit(type, 'a bigint, or a whole number up to 2^53 - 1', value);
  if (typeof value === 'bigint' && BigInt.asIntN(64, value) !== value)
    throw new Unfit(`is out of the range of ${type}`);
  return String(value);
}

function printFloat(single: boolean, type: string, value: unknown): string {
  if (typeof value !== 'number') throw unfit(type, 'a number', value);
  if (single && Number.isFinite(value)) {
    const held = Math.fround(value);
    if (!Number.isFinite(held) || (held === 0 && value !== 0))
      throw new Unfit(`is out of the range of ${type}`);
  }
  return Object.is(value, -0) ? '-0' : String(value);
}

const decimal = /^[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?$|^NaN$|^[-+]?Infinity$/;

function printNumeric(type: string, value: unknown): string {
  if (typeof value === 'number' || typeof value === 'bigint') return String(value);
  if (typeof value === 'string' && decimal.test(value)) return value;
  throw unfit(type, 'a string of digits, a number or a bigint', value);
}

function printJson(type: string, value: unknown): string {
  // Functions and symbols have no text: then there is none, whatever the types say.
  const text = JSON.stringify(value) as string | undefined;
  if (text === undefined) throw unfit(type, 'what JSON can hold', value);
  if (type === 'jsonb' && text.includes('\\u') && refusedEscape.test(text))
    throw new Unfit('holds a NUL character or half a character (a lone surrogate), which jsonb cannot');
  return text;
}

/** Lone surrogates are printed as escapes by JavaScript; pairs are not. */
const refusedEscape = /(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f][0-9a-f]{2})/;

function printItems(of: Codec, type: string, value: unknown): string {
  if (!Array.isArray(value)) throw unfit(type, 'an array', value);
  const member = type.replace(/(?:\[\])+$/, '');
  return printArray(value, (item) => printValue({ codec: of, type: member }, item));
}

/** PostgreSQL takes neither the signs of years beyond 9999 nor a year 0. */
function printDate(type: string, value: Date): string {
  const year = value.getUTCFullYear();
  if (!(year >= 1 && year <= 9_999)) throw new Unfit(`is no Date of the years 1 to 9999 for ${type}`);
  return value.toISOString();
}

const special = /[\0\ud800-\udfff]/;
const lonelySurrogate = /\p{Surrogate}/u;

function printText(type: string, wanted: string, value: unknown): string {
  if (typeof value !== 'string') throw unfit(type, wanted, value);
  if (special.test(value)) {
    if (value.includes('\0')) throw new Unfit('holds a NUL character, which PostgreSQL cannot');
    if (lonelySurrogate.test(value)) throw new Unfit('holds half a character (a lone surrogate)');
  }
  return value;
}

const hex = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');

function unfit(type: string, wanted: string, value: unknown): Unfit {
  const got =
    value === undefined
      ? 'nothing'
      : typeof value === 'object'
        ? (value?.constructor?.name ?? 'null')
        : typeof value;
  return new Unfit(`(${type}) takes ${wanted}, and got ${got}`);
}
