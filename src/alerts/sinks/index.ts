import type { Config } from '../../config.ts';
import type { Sink } from '../define-sink.ts';
import { webhook } from './webhook.ts';

export type SinkOptions = Config['alerts']['sinks'][number];

export const sinks: readonly Sink<SinkOptions>[] = [webhook];
