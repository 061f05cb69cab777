/** One attempt: signed, sent, and what the receiver made of it. */
import type { Outbound } from '../outbound.ts';
import { RefusedUrl } from '../outbound.ts';
import { sign } from './signature.ts';

/** From the first packet to the last byte that is looked at. */
export const TIMEOUT_MS = 15_000;
/** Of the answer; what it says is not kept, only its end is waited for so long. */
const MAX_ANSWER_BYTES = 4_096;
const USER_AGENT = 'Farebox-Webhooks/1';

export interface Attempt {
  id: string;
  url: string;
  body: Buffer;
  secrets: readonly string[];
  nowMs: number;
  timeoutMs: number;
  signal: AbortSignal;
}

export interface AttemptResult {
  /** Null where there was no answer. */
  status: number | null;
  /** What went wrong, in our words; null where nothing did. */
  error: string | null;
  /** How long the receiver asked to be left alone; 0 where it did not. */
  askedMs: number;
}

/** Never throws, but for `signal`. */
export async function attemptDelivery(
  outbound: Outbound,
  { id, url, body, secrets, nowMs, timeoutMs, signal }: Attempt,
): Promise<AttemptResult> {
  try {
    const answer = await outbound.request({
      method: 'POST',
      url,
      headers: {
        'content-type': 'application/json',
        'user-agent': USER_AGENT,
        ...sign(secrets, id, nowMs, body),
      },
      body,
      timeoutMs,
      signal,
    });
    await readSome(answer.body);
    const { status, headers } = answer;
    return { status, error: errorOf(status), askedMs: retryAfterMs(headers['retry-after'], nowMs) };
  } catch (error) {
    signal.throwIfAborted();
    return { status: null, error: reasonOf(error), askedMs: 0 };
  }
}

/** A receiver that answered well has it, whatever becomes of the rest of its answer. */
async function readSome(body: AsyncIterable<Buffer>): Promise<void> {
  let size = 0;
  try {
    for await (const chunk of body) {
      size += chunk.length;
      if (size > MAX_ANSWER_BYTES) break;
    }
  } catch {
    return;
  }
}

function errorOf(status: number): string | null {
  if (status >= 200 && status < 300) return null;
  if (status >= 300 && status < 400) return `answered ${status}: redirects are not followed`;
  return `answered ${status}`;
}

function retryAfterMs(header: string | string[] | undefined, nowMs: number): number {
  const text = (Array.isArray(header) ? header[0] : header)?.trim() ?? '';
  if (/^[0-9]{1,9}$/.test(text)) return Number(text) * 1_000;
  const at = Date.parse(text);
  return Number.isNaN(at) ? 0 : Math.max(0, at - nowMs);
}

/** Errors of the system say no more than their code: the rest may name addresses behind the receiver's name. */
function reasonOf(error: unknown): string {
  if (error instanceof RefusedUrl) return `callback_url ${error.message}`;
  if (error instanceof Error && error.name === 'TimeoutError') return 'did not answer in time';
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (/TIMEOUT|TIMEDOUT/.test(code)) return 'did not answer in time';
  return /^[A-Z_]{3,40}$/.test(code) ? `could not be reached (${code})` : 'could not be reached';
}
