/** Whether the statement writes a table's rows anew: what it checks meanwhile costs nothing on top. */
import type { Context } from './context.ts';
import { whyNewColumnRewrites } from './rules/new-column-rewrites.ts';
import { willRewrite } from './rules/type-change-rewrites.ts';

export const isRewritten = (table: string, context: Context): boolean =>
  context.siblings.some(
    (change) =>
      (change.kind === 'changeType' && change.table === table && willRewrite(change, context)) ||
      (change.kind === 'addColumn' &&
        change.table === table &&
        whyNewColumnRewrites(change, context) !== null),
  );
