import pino, { type Logger } from 'pino';

/** What must never stand in a log: credentials, and the row values in PostgreSQL's DETAIL. */
const secrets = [
  'authorization',
  '*.authorization',
  '*.headers.authorization',
  'password',
  '*.password',
  'secret',
  '*.secret',
  'url',
  '*.url',
  'err.detail',
  'err.where',
  'err.details.detail',
  'err.details.where',
];

/** JSON lines on standard output. */
export const openLog = (level: string): Logger =>
  pino({ name: 'switchback', level, redact: { paths: secrets, censor: '[redacted]' } });
