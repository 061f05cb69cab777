/** What an upstream dialect gives the chat path. A provider is stateless; the way to one server is a channel (data). */
import type { ChannelConfig } from '../config/config.ts';

/** What was measured, in the priced units. Cached and reasoning tokens are inside input and output here as the upstream reports them. */
export interface Usage {
  inputTokens: number;
  outputTokens: number;
  cachedInputTokens: number;
  cacheWriteTokens: number;
  /** Of those written, the ones that stay for an hour instead of minutes. */
  longCacheWriteTokens?: number;
  reasoningTokens: number;
  /** Of the input, what was heard. */
  inputAudioTokens?: number;
}

/** The facts of a caller's body that decide its price and route. Offsets point into the untouched body bytes. */
export interface ChatRequest {
  body: Buffer;
  model: string;
  isStream: boolean;
  /** The caller's own output limit, whichever of the two field names it used (the smaller of both); null when absent. */
  outputLimit: number | null;
  /** Below this limit the upstream refuses the request; absent: 1. */
  leastOutput?: number;
  /** Choices asked for. */
  n: number;
  /** Whether the caller asked for a usage chunk itself (`stream_options.include_usage`). */
  wantsUsage: boolean;
  /** Top-level members by name, as byte ranges: [start of key, start of value, end of value). */
  members: Map<string, [key: number, value: number, end: number]>;
  /** Headers of the caller that an upstream of the same dialect is to see; lower-case names. */
  headers?: Readonly<Record<string, string>>;
}

export interface ChatEdits {
  upstreamModel: string;
  /** The output limit to send, already fitted and capped. */
  outputLimit: number;
}

export interface UpstreamRequest {
  path: string;
  headers: Record<string, string>;
  body: Buffer;
}

/** What an answer, or the part of it that arrived, says of itself. */
export interface Measured {
  /** Usage as last reported, or null; counts are whole and not negative, and may still be absurd. */
  usage: Usage | null;
  /** Bytes of generated text, reasoning and tool arguments; for an estimate where no usage came. */
  outputBytes: number;
  /** Whether the answer reached its own end ([DONE] or a finish reason that is no error). */
  isComplete: boolean;
  /** The error that the upstream put inside the answer, or null. */
  error: string | null;
  /** The HTTP status that this error stands for, where it says so. */
  errorStatus?: number | null;
  /** What the answer cost the operator, where the upstream says so: decimal US dollars. */
  upstreamCostUsd?: string | null;
}

/** What must be known of a channel to read its answers. */
export type AnswerFacts = Pick<ChannelConfig, 'reportedCost'>;

/** Reads usage out of a stream as it passes; holds a bounded tail only. */
export interface StreamMeter {
  /**
   * Takes upstream bytes, returns the bytes that the caller is to get (the usage chunk that only we asked for is swallowed, and
   * the stream's own last line is kept for `end`). Throws AppError upstream_failed for an endless line.
   */
  push(chunk: Buffer): Buffer[];
  /** What is left for the caller: whatever came after the last whole line, and the line that ends the stream, if it came. */
  end(): { rest: Buffer[]; done: Buffer | null };
  /** Whether the line that ends the stream was seen: nothing after it counts. */
  isDone(): boolean;
  /** What has passed so far. */
  measured(): Measured;
  /** Sent while the upstream is silent, before its first event; absent: a comment. */
  readonly keepAlive?: Buffer;
  /** The event that ends a stream which broke, as this dialect writes it; absent: as OpenAI's chats have it. */
  broken?(error: { code: string; message: string }): Buffer;
}

export interface MeterLimits extends AnswerFacts {
  sseLineBytes: number;
  /** Texts that must not reach a caller (the channel's key), whatever the upstream echoes. */
  secrets: string[];
}

export interface Provider {
  readonly name: string;
  chat(channel: ChannelConfig, request: ChatRequest, edits: ChatEdits): UpstreamRequest;
  /** Reads a whole JSON answer; null where the body is none. */
  readChat(body: Buffer, facts: AnswerFacts): Measured | null;
  /** A whole answer as the caller is to get it; absent where the upstream speaks OpenAI's own dialect. */
  translate?(body: Buffer, request: ChatRequest): Buffer;
  meter(request: ChatRequest, limits: MeterLimits): StreamMeter;
}
