/** An alert as it is told to a sink. Holds no row values and no secrets. */
export interface AlertMessage {
  /** The same over all tries of one delivery. */
  readonly id: string;
  readonly condition: string;
  readonly severity: string;
  readonly database: string | null;
  readonly title: string;
  readonly createdAt: Date;
  readonly body: unknown;
}

/** Where alerts are told. To add one: a file in `sinks/`, a line in `sinks/index.ts`, its form in the configuration. */
export interface Sink<Options> {
  /** The configuration's `type`. */
  readonly type: string;
  /**
   * Delivers once.
   * @throws AppError `SINK_REFUSED` (trying again will not help), `SINK_UNREACHABLE`
   */
  send(options: Options, message: AlertMessage, signal: AbortSignal): Promise<void>;
}

export const defineSink = <Options>(sink: Sink<Options>): Sink<Options> => Object.freeze(sink);
