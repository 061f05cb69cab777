/** One request for sound, as the HTTP layer hands it over. */
import type { ChatCall } from '../chat/call.ts';

export interface AudioCall extends Omit<ChatCall, 'mode' | 'dialect'> {
  /** Of the body, as sent; null without it. */
  contentType: string | null;
}

/** What every request for sound says, in whatever form. */
export interface AudioRequest {
  /** Null where it leaves the choice to the server. */
  model: string | null;
  maxCredits: unknown;
  quoteId: string | null;
}
