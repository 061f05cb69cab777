/** What is bought of each modality, and what the servers behind it say. */
import type Anthropic from '@anthropic-ai/sdk';
import type OpenAI from 'openai';
import type { VeniceClient } from 'venice-x402-client';
import type { Counts, Facts } from '../price-by-hand.ts';
import { png } from '../media.ts';

export const SAID = 'Hi there, how are you today?';
export const USAGE = {
  prompt_tokens: 1_009,
  completion_tokens: 77,
  input_tokens: 1_009,
  output_tokens: 77,
};
export const TOKENS = { input_token: 1_009, output_token: 77 };
export const PER_REQUEST = { ...TOKENS, request: 1 };
export const TEXT = 'The quick brown fox 🦊.';
export const SOUND = Buffer.from('some sound that nobody hears').toString('base64');
export const PICTURE = png().toString('base64');
export const PROMPT = 'A lighthouse';
export const ONE = 'One boat';

/** Clients of one key, and Venice's of one wallet. */
export interface Clients {
  openai: OpenAI;
  anthropic: Anthropic;
  venice: VeniceClient;
  /** Of the OpenAI-compatible routes. */
  baseURL: string;
  secret: string;
  /** An upstream of ours. */
  demoUrl: string;
}

/** What a call counts as, by its client's or our own count. */
export interface Bought {
  model: string;
  counts: Counts;
  facts?: Facts;
}

export type Case = [client: string, work: (clients: Clients) => Promise<Bought>];

export const messages = [{ role: 'user' as const, content: 'hello' }];
export const words = (counts: Counts = PER_REQUEST): Bought => ({ model: 'words', counts });
export const vectors = (input_token: number): Bought => ({
  model: 'vectors',
  counts: { input_token },
});
export const spoken: Bought = { model: 'voice', counts: { character: 22 } };
