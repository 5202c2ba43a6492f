/** Switchback's API, as a deploy script would call it. */
export class Client {
  readonly #base: string;
  readonly #token: string;

  constructor(base: string, token: string) {
    this.#base = base;
    this.#token = token;
  }

  async get<T>(path: string, options: { anyStatus?: boolean } = {}): Promise<{ status: number; body: T }> {
    return this.#call('GET', path, undefined, options.anyStatus ?? false);
  }

  async post<T>(path: string, body: unknown): Promise<{ status: number; body: T }> {
    return this.#call('POST', path, body, false);
  }

  /** The job's events as they come over Server-Sent Events, to the one that ends it. */
  async *events(job: string): AsyncGenerator<JobEvent> {
    const response = await fetch(`${this.#base}/api/jobs/${job}/events`, {
      headers: { authorization: `Bearer ${this.#token}`, accept: 'text/event-stream' },
    });
    if (response.body === null) throw new Error(`no events came: ${response.status}`);
    let text = '';
    const decoder = new TextDecoder();
    for await (const chunk of response.body) {
      text += decoder.decode(chunk as Uint8Array, { stream: true });
      const blocks = text.split('\n\n');
      text = blocks.pop() ?? '';
      for (const block of blocks) {
        const data = /^data: ?(.*)$/m.exec(block)?.[1];
        if (data !== undefined) yield JSON.parse(data) as JobEvent;
      }
    }
  }

  /** Waits for a job as a deploy script's gate does. `status` is 200 where it succeeded. */
  result(
    job: string,
  ): Promise<{ status: number; body: { detail?: string; code?: string; result?: unknown } }> {
    return this.#call('GET', `/api/jobs/${job}/result?wait=120`, undefined, true);
  }

  async #call<T>(
    method: string,
    path: string,
    body: unknown,
    anyStatus: boolean,
  ): Promise<{ status: number; body: T }> {
    const response = await fetch(this.#base + path, {
      method,
      headers: {
        authorization: `Bearer ${this.#token}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const answer = (await response.json()) as T;
    if (!response.ok && !anyStatus)
      throw new Error(`${method} ${path} answered ${response.status}: ${JSON.stringify(answer)}`);
    return { status: response.status, body: answer };
  }
}

export interface JobEvent {
  readonly number: number;
  readonly type: string;
  readonly body: {
    readonly step?: string;
    readonly percent?: number;
    readonly message?: string;
    readonly index?: number;
    readonly of?: number;
  };
}
