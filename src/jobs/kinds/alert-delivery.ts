import { z } from 'zod';
import { deliveryKind } from '../../alerts/raise.ts';
import { sinks } from '../../alerts/sinks/index.ts';
import { AppError } from '../../errors.ts';
import { defineJob } from '../define-job.ts';

const minute = 60_000;

/** Tells one alert to one sink. Tried for about a day. */
export const alertDelivery = defineJob({
  name: deliveryKind,
  queue: 'signals',
  payload: z.strictObject({ delivery: z.uuid() }),
  steps: ['deliver'],
  exclusive: false,
  attempts: 10,
  backoffMs: (attempt) => Math.min(6 * 60 * minute, 5_000 * 4 ** (attempt - 1)) * (0.8 + 0.4 * Math.random()),
  whenInterrupted: 'resume',
  async run({ payload, deps, signal, step }) {
    const delivery = await deps.control.prisma.delivery.findUniqueOrThrow({
      where: { id: payload.delivery },
      include: { alert: true },
    });
    const options = deps.config.alerts.sinks.find((one) => one.name === delivery.sink);
    const sink = sinks.find((one) => one.type === options?.type);
    if (options === undefined || sink === undefined)
      throw new AppError('SINK_REFUSED', `The alert sink "${delivery.sink}" is no longer configured.`, {
        sink: delivery.sink,
      });
    await step('deliver', () => sink.send(options, { ...delivery.alert, id: delivery.id }, signal));
    await deps.control.prisma.delivery.update({
      where: { id: delivery.id },
      data: { deliveredAt: new Date() },
    });
    return { sink: delivery.sink };
  },
});
