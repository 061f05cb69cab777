/** A media task as everybody outside the engine knows it. */
import type { Principal } from '../auth/principal.ts';
import type { MediaType, ModelConfig } from '../config/config.ts';
import type { Run } from '../idempotency/run.ts';
import type { StoredAnswer } from '../idempotency/stored-answer.ts';
import type { Hold } from '../ledger/ledger.ts';
import type { Admission } from '../limits/rates.ts';
import type { MediaView } from '../media/store.ts';
import type { NanoUsd } from '../money.ts';

export type TaskKind = 'image' | 'video' | 'music';
export type TaskState = 'pending' | 'processing' | 'completed' | 'failed' | 'cancelled' | 'expired';

/** Types of models that are made by tasks. */
export type TaskType = Exclude<MediaType, 'tts' | 'stt'>;

/** Why a task did not end in a result. Nothing was charged. */
export type TaskErrorCode =
  | 'refused' // the upstream refused the request's content
  | 'provider_key_refused' // the vendor does not take its owner's own key, or it was removed
  | 'content_policy' // the upstream's moderation refused it
  | 'upstream_failed'
  | 'upstream_expired'
  | 'submit_unknown' // whether the upstream ever had it is not known, and it is never sent twice
  | 'lost' // the upstream had it and does not know it any more
  | 'result_unavailable' // made, but its result could not be fetched, or was not what it should be
  | 'no_channel' // no channel took it within its time
  | 'timed_out'
  | 'cancelled'
  | 'internal';

export interface TaskError {
  code: TaskErrorCode;
  message: string;
}

export interface Task {
  id: string;
  accountId: string;
  keyId: string | null;
  kind: TaskKind;
  type: TaskType;
  model: string;
  state: TaskState;
  requestId: string;
  /** 0 to 100; never goes back. */
  progress: number;
  /** Tasks before this one, here or at the upstream; null where nobody knows. */
  queuePosition: number | null;
  estimatedSecondsLeft: number | null;
  /** How long tasks of this model usually take (80 of 100 take less); null where nothing is known. */
  typicalMs: number | null;
  held: NanoUsd;
  charged: NanoUsd;
  error: TaskError | null;
  /** Empty until it is completed, and again once its files were deleted. */
  assets: MediaView[];
  callbackUrl: string | null;
  /** Whether it goes over a provider key of its owner. */
  isOwnKey: boolean;
  createdAt: number;
  startedAt: number | null;
  endedAt: number | null;
}

/** What a caller asks for. */
export interface NewTask {
  principal: Principal;
  requestId: string;
  model: string;
  /** Types of models that the route sells; another one's is invalid_request, field `model`. */
  types: readonly TaskType[];
  /** The caller's body as an object. `model` and what is for Farebox alone (max_credits, quote_id, callback_url) are taken out here. */
  fields: Record<string, unknown>;
  /** X-Max-Credits, as sent; null without it. The body's counts too. */
  maxCredits: string | null;
  /** X-Quote-Id, as sent; null without it. The body's goes first. */
  quoteId: string | null;
  /** What the payer must have available before anything is sold to it. */
  minimumAvailable: NanoUsd;
  /** Counts the request in its caller's limits. Throws rate_limited, and then counts nothing. */
  admit(
    principal: Principal,
    model: ModelConfig,
    tokens: number,
  ): Promise<Pick<Admission, 'settle'>>;
  /** With an Idempotency-Key: names the hold. */
  keep?: Run | null;
  /** With `keep`: the answer that is stored in the transaction that makes the task. Left out where the answer comes at its end. */
  answer?: (created: CreatedTask) => StoredAnswer;
}

export interface CreatedTask {
  task: Task;
  /** For the headers of the answer. */
  hold: Hold;
}

export interface TaskPage {
  tasks: Task[];
  /** Pass it as `after` for the next page; null at the end. */
  next: string | null;
}

export interface TaskFilter {
  kind?: TaskKind | undefined;
  state?: TaskState | undefined;
  /** Id of the last task of the page before. */
  after?: string | undefined;
  limit: number;
}

/**
 * What routes need of the engine. A task that is not the caller's is not_found everywhere: a wallet and an ADMIN key have the tasks of
 * their account, an INFERENCE key its own and those of keys that it made.
 */
export interface TaskService {
  /** Holds the most that it can cost and writes the row, in one transaction. Errors: as a chat's before its hold, invalid_request. */
  create(call: NewTask): Promise<CreatedTask>;
  /** Throws what `create` would refuse before it looks at any money. */
  check(call: Pick<NewTask, 'model' | 'types' | 'fields' | 'maxCredits' | 'quoteId'>): void;
  /** What it may cost, for its 402; null where it cannot be priced. Never throws. */
  price(
    call: Pick<NewTask, 'model' | 'types' | 'fields'>,
  ): { ceiling: NanoUsd; atLeast: NanoUsd } | null;
  find(principal: Principal, id: string): Promise<Task>;
  list(principal: Principal, filter: TaskFilter): Promise<TaskPage>;
  /** Errors: not_found; state_conflict where it cannot be cancelled (any more). A task that was cancelled before is answered as it is. */
  cancel(principal: Principal, id: string): Promise<Task>;
  /** The task at its end, or as it is after `timeoutMs` or when the signal fires. Asks nobody whose task it is. */
  ended(id: string, timeoutMs: number, signal: AbortSignal): Promise<Task>;
}
