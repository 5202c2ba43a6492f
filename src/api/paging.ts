/** Pages by cursor: newest first, by ids that grow with time (UUID version 7). */
import { z } from 'zod';
import { AppError } from '../errors.ts';
import type { Caller } from './authentication.ts';

/** Query parameters that every list takes. */
export const pageQuery = {
  limit: z.coerce.number().int().min(1).max(100).default(20).describe('Entries on a page'),
  cursor: z.string().max(200).optional().describe('`nextCursor` of the page before'),
};

export interface PageRequest {
  readonly limit: number;
  readonly cursor?: string | undefined;
}

export interface Page<Item> {
  readonly items: Item[];
  /** Asks for the page after this one; null on the last. */
  readonly nextCursor: string | null;
}

export const pageOf = <Item extends z.ZodType>(item: Item, id: string) =>
  z.object({ items: z.array(item), nextCursor: z.string().nullable() }).meta({ id });

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** The key after which the page begins. @throws AppError `INVALID_CURSOR` */
export function keyOf(cursor: string, form: RegExp = uuid): string {
  const key = Buffer.from(cursor, 'base64url').toString();
  if (!form.test(key))
    throw new AppError(
      'INVALID_CURSOR',
      'The cursor is not one of ours: take `nextCursor` of a page as it is.',
    );
  return key;
}

/** What a query of a page asks Prisma for: one entry more than is shown tells whether there is a next page. */
export const pageOfAll = (request: PageRequest) => ({
  where: request.cursor === undefined ? {} : { id: { lt: keyOf(request.cursor) } },
  orderBy: { id: 'desc' as const },
  take: request.limit + 1,
});

/** The same for records that belong to a database, as far as the caller may see them. */
export function recordQuery(
  caller: Caller,
  request: PageRequest & { readonly database?: string | undefined },
) {
  const { where, ...page } = pageOfAll(request);
  const seen = caller.databases === null ? {} : { database: { in: [...caller.databases] } };
  const wanted = request.database === undefined ? {} : { database: request.database };
  return { ...page, where: { AND: [seen, wanted, where] } };
}

/** Cuts the entry that is one too many. `keyOfItem` is what the cursor holds. */
export function toPage<Item>(found: Item[], limit: number, keyOfItem: (item: Item) => string): Page<Item> {
  const items = found.slice(0, limit);
  const last = items.at(-1);
  const more = found.length > limit && last !== undefined;
  return { items, nextCursor: more ? Buffer.from(keyOfItem(last)).toString('base64url') : null };
}
