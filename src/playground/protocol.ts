/** What the playground and its child process say to each other: a line of JSON each, over standard input and output. */
import type { ModelConfig } from '../config/config.ts';

export type Chain = 'evm' | 'solana';
export const CHAINS: readonly Chain[] = ['evm', 'solana'];

/** A request as an agent sends it. */
export interface Wanted {
  model: string;
  type: ModelConfig['type'];
  path: string;
  body: Record<string, unknown>;
  /** Sent as a form with a sample recording in it. */
  isForm: boolean;
  /** What it is paid with. */
  chain: Chain;
}

export type HeaderLine = readonly [name: string, value: string];

/** A request and its answer, as an agent sees them. */
export interface Exchange {
  title: string;
  method: string;
  path: string;
  sent: HeaderLine[];
  sentBody: string;
  status: number;
  headers: HeaderLine[];
  body: string;
  tookMs: number;
}

/** Decimal dollars. */
export interface Figures {
  expected: string;
  most: string;
  asked: string;
  network: string;
  payer: string;
  cost: string;
  before: string;
  after: string;
}

/** A file that was made: its name in the child's folder of results. */
export interface Result {
  name: string;
  contentType: string;
  bytes: number;
}

export type RunEvent =
  | { type: 'exchange'; exchange: Exchange }
  | { type: 'text'; text: string }
  | { type: 'figures'; figures: Partial<Figures> }
  | { type: 'result'; result: Result }
  /** `error`: why it came to nothing; null where it is whole. */
  | { type: 'end'; error: string | null };

export interface ToChild {
  run: string;
  /** Whose wallet pays: one for each. */
  wallet: string;
  wanted: Wanted;
}

export type FromChild = { ready: true } | { run: string; event: RunEvent };

/** In the child's directory. */
export const RESULTS = 'results';
export const RESULT_NAME = /^[a-z0-9_]{1,64}-\d{1,2}$/;
/** Of everything that a run says and keeps. */
export const MAX_TEXT_CHARS = 65_536;
export const MAX_BODY_CHARS = 8_192;
export const MAX_HEADER_CHARS = 8_192;
export const MAX_HEADERS = 60;
export const MAX_EXCHANGES = 12;
export const MAX_RESULTS = 10;
export const MAX_LINE_CHARS = 1_048_576;
/** Of one run in the child; the parent waits a little longer. */
export const RUN_MS = 100_000;

export function cut(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`;
}
