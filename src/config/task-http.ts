/**
 * `task`: an upstream that takes jobs over HTTP, described instead of programmed. Paths into answers are JSON pointers (RFC 6901) in
 * which `*` stands for every item of a list; texts in braces are filled in.
 */
import type { MediaType } from './config.ts';

/** Words of ours for where a job stands. */
export const TASK_STATES = [
  'pending',
  'processing',
  'completed',
  'failed',
  'moderated',
  'expired',
  'cancelled',
] as const;
export type TaskState = (typeof TASK_STATES)[number];

export type Template =
  null | boolean | number | string | readonly Template[] | { readonly [name: string]: Template };
export type Scalar = string | number | boolean;

export interface TaskHttp {
  types: MediaType[];
  /** How the channel's key is sent; a Bearer token where nothing is said. */
  auth?: { header: string; prefix?: string } | { jwt: { issuer: string; ttl_seconds?: number } };
  headers?: Record<string, string>;
  /** The first that fits makes the job. */
  create: TaskCreate[];
  /** Where the job's id stands in the answer to `create`. */
  id?: string;
  /** Asks for the job; left out where the answer to `create` is the result. */
  poll?: TaskCall;
  status?: string;
  /** By the upstream's word, in any case; the usual words need not be listed. */
  states?: Record<string, TaskState>;
  /** 0-100, "40%", or a fraction with `progress_of: 1`. */
  progress?: string;
  progress_of?: 1 | 100;
  result: TaskResult;
  error?: TaskError;
  /** Units by what the upstream reports; with a factor where it counts otherwise. */
  measured?: Record<string, string | { at: string; times: number }>;
  cost_usd?: string;
  cancel?: TaskCall;
  /** Tables of words: "{aspect_ratio|map:ratio}". */
  maps?: Record<string, Record<string, Scalar>>;
}

export interface TaskCall {
  method?: 'GET' | 'POST' | 'PUT' | 'DELETE';
  path: string;
  body?: Template;
}

export interface TaskCreate extends TaskCall {
  /** Every one must hold. */
  when?: { type?: MediaType[]; has?: TaskInput[] };
  /** Whether fields that the template does not know are sent along. */
  passthrough?: boolean;
  /** Instead of the usual one, for jobs that were made this way. */
  poll?: TaskCall;
  /** The answer is the result itself. */
  is_result?: boolean;
}

export const TASK_INPUTS = ['image', 'last_image', 'reference', 'video', 'audio'] as const;
export type TaskInput = (typeof TASK_INPUTS)[number];

export interface TaskResult {
  /** One more question once it is done; its answer holds the links. "{/file_id}" is taken from the job's answer. */
  call?: TaskCall;
  urls?: string[];
  base64?: string[];
  hex?: string[];
  content_type?: string;
}

export interface TaskError {
  message?: string[];
  /** Of answers that say in a field of theirs whether all went well. */
  code?: string;
  /** What `code` is when it did. */
  ok?: Scalar[];
  /** Come again later. */
  busy?: Scalar[];
  /** The operator's own key or balance. */
  ours?: Scalar[];
}
