/** One object in a store. */
export interface StoredObject {
  readonly key: string;
  readonly bytes: number;
  readonly modifiedAt: Date;
}

/**
 * Where backups are kept. A key is a relative path of plain segments (`orders/2026-01-31….dump`).
 * All methods throw `STORE_UNREACHABLE` when the store does not answer or refuses us.
 */
export interface BackupStore {
  /** For people; holds no secret. */
  readonly display: string;
  /**
   * Stores all that `content` yields under `key`, durably and whole or not at all: what is there before stays until
   * the new object is complete, and when `content` throws or the signal aborts nothing remains.
   * @returns what was written, counted and hashed on its way
   * @throws AppError `STORE_FULL`; the signal's reason; what `content` throws
   */
  put(
    key: string,
    content: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<{ bytes: number; sha256: string }>;
  /** @throws AppError `BACKUP_NOT_FOUND` */
  get(key: string): AsyncIterable<Uint8Array>;
  list(): AsyncIterable<StoredObject>;
  /** Removes an object; one that is not there is fine. */
  remove(key: string): Promise<void>;
}

/** One type of store. To add one: a file beside this, a line in `index.ts`, its form in the configuration. */
export interface StoreType<Type extends string, Options extends { readonly type: Type }> {
  readonly type: Type;
  /** Opens the store, and finds out whether it can be used: a fault is met at start, not at night. */
  open(options: Options): Promise<BackupStore>;
}

export const defineStore = <const Type extends string, Options extends { readonly type: Type }>(
  store: StoreType<Type, Options>,
): StoreType<Type, Options> => Object.freeze(store);
