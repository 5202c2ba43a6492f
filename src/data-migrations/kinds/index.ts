import type { Kind } from '../define-kind.ts';
import { archive } from './archive.ts';
import { backfill } from './backfill.ts';
import { copy } from './copy.ts';
import { deletion } from './delete.ts';
import { shadow } from './shadow.ts';
import { transform } from './transform.ts';

/** Every kind of data migration; adding one is one file and one line here. */
export const kinds: readonly Kind[] = [backfill, copy, transform, deletion, archive, shadow];
