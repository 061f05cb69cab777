/** What an upstream dialect gives the chat path. A provider is stateless; the way to one server is a channel (data). */
import type { ChannelConfig } from '../config/config.ts';

/** What was measured, in the priced units. Cached and reasoning tokens are inside input and output here as the upstream reports them. */
export interface Usage {
  inputTokens: number;
  outputTokens: number;
  cachedInputTokens: number;
  cacheWriteTokens: number;
  reasoningTokens: number;
}

/** The facts of a caller's chat body that decide its price and route. Offsets point into the untouched body bytes. */
export interface ChatRequest {
  body: Buffer;
  model: string;
  isStream: boolean;
  /** The caller's own output limit, whichever of the two field names it used; null when absent. */
  outputLimit: number | null;
  /** Choices asked for. */
  n: number;
  /** Whether the caller asked for a usage chunk itself (`stream_options.include_usage`). */
  wantsUsage: boolean;
  /** Top-level members by name, as byte ranges: [start of key, start of value, end of value). */
  members: Map<string, [key: number, value: number, end: number]>;
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

/** Reads usage out of a stream as it passes; holds a bounded tail only. */
export interface StreamMeter {
  /** Takes upstream bytes, returns the bytes that the caller is to get (the usage chunk that only we asked for is swallowed). */
  push(chunk: Buffer): Buffer[];
  /** What is left at the end of the upstream's body. */
  end(): Buffer[];
  /** Last usage reported, or null. */
  usage(): Usage | null;
  /** Bytes of generated text passed on so far; for an estimate where no usage came. */
  outputBytes(): number;
  /** Whether any generated content was passed on. */
  hasOutput(): boolean;
  /** Whether the stream reached its own end ([DONE] or a finish reason). */
  isComplete(): boolean;
  /** The error event that the upstream sent inside the stream, or null. */
  error(): string | null;
}

export interface Provider {
  readonly name: string;
  chat(channel: ChannelConfig, request: ChatRequest, edits: ChatEdits): UpstreamRequest;
  /** Reads a whole JSON answer. `error` is set when a 200 carries an error object and no choices. */
  readChat(body: Buffer): { usage: Usage | null; outputBytes: number; error: string | null };
  meter(request: ChatRequest, limits: { sseLineBytes: number }): StreamMeter;
}
