/** What was opened, to be closed in reverse order. */
export class Closing {
  readonly #pending: (() => Promise<void>)[] = [];

  add(close: () => Promise<void>): void {
    this.#pending.push(close);
  }

  /**
   * Closes everything, also when closing a part fails.
   * @throws the first failure
   */
  async close(): Promise<void> {
    const failures: unknown[] = [];
    for (let close = this.#pending.pop(); close !== undefined; close = this.#pending.pop()) {
      try {
        await close();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  }
}
