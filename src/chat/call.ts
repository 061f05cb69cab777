/** One chat request, as the HTTP layer hands it over, and how it is answered. */
import type { Principal } from '../auth/principal.ts';
import type { ModelConfig } from '../config/config.ts';
import type { Run } from '../idempotency/run.ts';
import type { Admission } from '../limits/rates.ts';
import type { NanoUsd } from '../money.ts';

export interface ChatCall {
  principal: Principal;
  requestId: string;
  body: Buffer;
  /** X-Budget-Mode: whether the output limit may be lowered to what the balance covers. */
  mode: 'clamp' | 'refuse';
  dialect: 'v1' | 'venice';
  /** Of the caller's, what an upstream of the same dialect is to see; lower-case names. */
  headers?: Readonly<Record<string, string>>;
  /** What the payer must have available before anything is sold to it. */
  minimumAvailable: NanoUsd;
  /** X-Max-Credits, as sent; null without it. */
  maxCredits: string | null;
  /** X-Quote-Id, as sent; null without it. */
  quoteId: string | null;
  /** Counts the request and at most so many tokens in its caller's limits. Throws rate_limited, and then counts nothing. */
  admit(
    principal: Principal,
    model: ModelConfig,
    tokens: number,
  ): Promise<Pick<Admission, 'settle'>>;
  /** Aborted when the client is gone. */
  signal: AbortSignal;
  reply: ChatReply;
  /** With an Idempotency-Key: the answer is kept with what is charged for it, and goes on to its end without its caller. */
  keep?: Run | null;
}

export interface ChatReply {
  /** Status line and headers, once. */
  head(status: number, headers: Record<string, string>): void;
  /** False when the socket's buffer is full; then `drained` is awaited before more is written. */
  write(chunk: Buffer): boolean;
  drained(): Promise<void>;
  end(chunk?: Buffer): void;
  /** Breaks the connection off, so that nobody takes what was sent for the whole. */
  destroy(): void;
}
