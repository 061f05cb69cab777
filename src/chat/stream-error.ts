/** The event that tells the reader of a broken stream that it is broken: its status line said 200 long ago. */
import type { AppError } from '../errors.ts';
import type { StreamMeter } from '../providers/provider.ts';
import type { ChatCall } from './call.ts';

export function errorEvent(
  meter: Pick<StreamMeter, 'broken'>,
  dialect: ChatCall['dialect'],
  failure: AppError | null,
): Buffer {
  const code = failure?.code ?? 'upstream_failed';
  const message = failure?.message ?? 'The upstream broke off before its answer was complete.';
  if (meter.broken) return meter.broken({ code, message });
  const body =
    dialect === 'v1'
      ? { error: { message, type: 'gateway_error', code } }
      : { error: message, code: code.toUpperCase() };
  return Buffer.from(`data: ${JSON.stringify(body)}\n\n`);
}
