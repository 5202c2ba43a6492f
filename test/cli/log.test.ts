import { execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';

const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
const here = (file: string): string => new URL(file, import.meta.url).href;

test('credentials and row values never reach the log', () => {
  const script = `
    import { openLog } from ${JSON.stringify(here('../../src/cli/log.ts'))};
    import { AppError } from ${JSON.stringify(here('../../src/errors.ts'))};
    const log = openLog('info');
    log.info({ url: 'postgres://me:hidden@db', req: { headers: { authorization: 'hidden' } }, sink: { secret: 'hidden' } });
    const details = { sqlstate: '23505', detail: 'Key (email)=(hidden) already exists.', where: 'hidden' };
    const cause = Object.assign(new Error('duplicate'), { detail: 'hidden' });
    log.error({ err: new AppError('STATEMENT_FAILED', 'It failed.', details, { cause }) });
    log.error({ err: cause });`;
  const printed = execFileSync(process.execPath, ['--import', tsx, '--input-type=module', '-e', script], {
    encoding: 'utf8',
  });
  expect(printed.trim().split('\n')).toHaveLength(3);
  expect(printed).toContain('23505');
  expect(printed).not.toContain('hidden');
});
