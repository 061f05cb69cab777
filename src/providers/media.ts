/**
 * What the task engine calls: an upstream that makes images, video, music or sound. A provider is stateless, keeps its place in `ref`,
 * and knows no money. What an upstream calls back with is never believed: the poll is the truth.
 */
import type { ChannelConfig, MediaType } from '../config/config.ts';
import type { Measured, Order } from '../orders/order.ts';

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };
export type Fields = Record<string, unknown>;

export interface MediaJob {
  taskId: string;
  type: MediaType;
  channel: ChannelConfig;
  /** What the upstream calls the model. */
  upstreamModel: string;
  /** The caller's body, without what is for Farebox itself. */
  fields: Fields;
  order: Order;
}

/** Where a result lies, or the result itself. `headers` go to that URL's own host only. */
export type Asset =
  | { url: string; headers?: Record<string, string>; contentType?: string }
  | { bytes: Buffer; contentType?: string };

/**
 * `refused`: the request's content is at fault, every channel would say the same. `moderated`: its content or its result is not
 * allowed. `isRetryable`: nothing was made, and another channel may do better.
 */
export interface Failed {
  state: 'failed';
  failure: 'refused' | 'moderated' | 'failed' | 'expired' | 'cancelled';
  /** Fit for the caller. */
  message: string;
  isRetryable: boolean;
}

export type Polled =
  /** `progress` is 0-100. */
  | { state: 'pending' | 'processing'; progress?: number; queuePosition?: number }
  /** At least one asset. */
  | { state: 'completed'; assets: Asset[]; measured: Measured }
  | Failed
  /** The upstream does not know it (any more). */
  | { state: 'gone' };

/** `ref` is all that `poll` and `cancel` need to find it again; it is stored as it is and may hold no secret. */
export type Started = { state: 'started'; ref: Json; pollAfterMs?: number } | Polled;

export interface MediaProvider {
  readonly name: string;
  /** What it makes. */
  readonly types: ReadonlySet<MediaType>;
  /** Whether the upstream knows the task's id as an idempotency key, so that an unknown submit may be sent again. */
  readonly isIdempotent?: boolean;
  /** May take as long as the channel's `totalMs`: some upstreams answer with the result itself. Throws what `MediaHttp` throws. */
  start(job: MediaJob, http: MediaHttp): Promise<Started>;
  /** Throws what `MediaHttp` throws; all of it may pass. */
  poll?(ref: Json, job: MediaJob, http: MediaHttp): Promise<Polled>;
  cancel?(
    ref: Json,
    job: MediaJob,
    http: MediaHttp,
  ): Promise<'cancelled' | 'too_late' | 'unsupported'>;
}

export interface MediaRequest {
  /** GET by default, POST with a body. */
  method?: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Below the channel's base URL, with its slash; or a whole URL on the same origin. */
  to: string;
  headers?: Record<string, string>;
  /** Headers of the credential; by default `Authorization: Bearer` with the channel's key. */
  auth?: Record<string, string>;
  body?: MediaBody;
  /** The answer is the result itself, so that its first byte may take the channel's `totalMs`. */
  isSlow?: boolean;
  /** Statuses of which `request` would make an error, but which the caller reads itself. */
  accept?: readonly number[];
}

export type MediaBody = { json: unknown } | { multipart: Part[] };

export interface Part {
  name: string;
  value: string | Buffer;
  /** Of a file. */
  filename?: string;
  contentType?: string;
}

export interface MediaAnswer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: Buffer;
  /** The media type in lower case, without parameters; '' where there is none. */
  contentType: string;
  /** Throws upstream_failed (isSent) for anything but a JSON object. */
  json(): Fields;
}

/**
 * The way to one channel. Answers 2xx and 4xx; for the rest it throws AppError:
 * - `upstream_busy` (429), with retryAfterSeconds: nothing was begun;
 * - `upstream_failed`, `upstream_timeout` with `details.isSent`: false where a submit certainly did not begin anything (no connection, the
 *   key refused, 503), true where it may have; `details.status` where the upstream did answer, so that waiting brings nothing more.
 */
export interface MediaHttp {
  request(request: MediaRequest): Promise<MediaAnswer>;
  /** Text of the upstream, fit for a caller. */
  clean(text: string): string;
  nowMs(): number;
}
