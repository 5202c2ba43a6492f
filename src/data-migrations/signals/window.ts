interface Sample {
  readonly at: number;
  readonly value: number;
}

/** How much a counter has grown lately. */
export class Window {
  readonly #lengthMs: number;
  #samples: Sample[] = [];

  constructor(lengthMs: number) {
    this.#lengthMs = lengthMs;
  }

  /** Growth since the oldest sample that is no older than the window, and the time between the two, 0 at first. */
  growth(at: number, value: number): { readonly value: number; readonly ms: number } {
    const kept = this.#samples.filter((sample) => sample.at >= at - this.#lengthMs && sample.value <= value);
    this.#samples = [...kept, { at, value }];
    const [oldest = { at, value }] = this.#samples;
    return { value: value - oldest.value, ms: at - oldest.at };
  }
}
