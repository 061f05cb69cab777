/** What an upstream's answer stands for that is no result: said in our words, as for chats. */
import { refusedKey } from '../chat/byok.ts';
import { upstreamError } from '../chat/upstream-errors.ts';
import type { WholeAnswer } from '../chat/whole.ts';
import { AppError } from '../errors.ts';
import type { AudioRequest } from './call.ts';
import type { AudioJob, AudioTools } from './path.ts';

/** Of any answer but 2xx. `busySeconds`: of a 429 that does not say when to come again. */
export function refusalOf(
  { call, route, secrets }: AudioJob<AudioRequest>,
  { log, clock }: Pick<AudioTools, 'log' | 'clock'>,
  { status, headers, body }: WholeAnswer,
  busySeconds?: (body: Buffer) => number,
): AppError {
  const level = status >= 400 && status < 500 ? 'warn' : 'error';
  const { channel } = route;
  log[level]('upstream_refused', { requestId: call.requestId, channel: channel.id, status });
  const refused = refusedKey(route, status, body);
  if (refused) return refused;
  const by = { channel, secrets, nowMs: clock.nowMs() };
  const isSilent = status === 429 && headers['retry-after'] === undefined;
  const again = isSilent && busySeconds ? { 'retry-after': String(busySeconds(body)) } : {};
  return upstreamError({ status, headers: { ...headers, ...again }, body }, by);
}

export function failed(message: string): AppError {
  return new AppError('upstream_failed', message);
}

export function asAppError(error: unknown): AppError {
  if (error instanceof AppError) return error;
  return new AppError('internal', 'The request could not be sent.', { cause: error });
}

/** The media type in lower case, without parameters; '' where there is none. */
export function mediaType(header: string | string[] | undefined): string {
  const text = (Array.isArray(header) ? header[0] : header) ?? '';
  return text.split(';', 1)[0]!.trim().toLowerCase();
}
