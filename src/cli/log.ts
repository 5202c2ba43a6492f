import pino, { type Logger } from 'pino';

/** JSON lines on standard output, without what must never stand in a log. */
export const openLog = (level: string): Logger =>
  pino({
    name: 'switchback',
    level,
    redact: {
      paths: [
        'authorization',
        '*.authorization',
        'req.headers.authorization',
        'password',
        '*.password',
        'secret',
        '*.secret',
        'url',
        '*.url',
      ],
      censor: '[redacted]',
    },
  });
