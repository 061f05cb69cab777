/** One chat request, as the HTTP layer hands it over, and how it is answered. */
import type { Principal } from '../auth/principal.ts';
import type { Run } from '../idempotency/run.ts';
import type { NanoUsd } from '../money.ts';

export interface ChatCall {
  principal: Principal;
  requestId: string;
  body: Buffer;
  /** X-Budget-Mode: whether the output limit may be lowered to what the balance covers. */
  mode: 'clamp' | 'refuse';
  dialect: 'v1' | 'venice';
  /** What the payer must have available before anything is sold to it. */
  minimumAvailable: NanoUsd;
  /** X-Max-Credits, as sent; null without it. */
  maxCredits: string | null;
  /** X-Quote-Id, as sent; null without it. */
  quoteId: string | null;
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
}
