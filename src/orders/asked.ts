/** What a caller asks of a media model, in whatever dialect: one reader for all of their field names. */
import type { InputMode, MediaType } from '../config/config.ts';

/** What of a request can decide its price. Absent: the caller said nothing. */
export interface Asked {
  n?: number;
  /** "1024x1024". */
  size?: string;
  resolution?: string;
  quality?: string;
  aspect_ratio?: string;
  /** Seconds. */
  duration?: number | 'auto';
  fps?: number;
  audio?: boolean;
  /** "2x". */
  factor?: string;
  input_mode?: InputMode;
  input_images?: number;
  /** Of sound or video that is sent along; never the caller's word where it decides a hold. */
  input_seconds?: number;
  /** Unicode code points of the text. */
  characters?: number;
  /** Of the prompt, never low. */
  input_tokens?: number;
}

/** `fields`: the caller's body. Errors: invalid_request with details.field. */
export function readAsked(type: MediaType, fields: Readonly<Record<string, unknown>>): Asked {
  void type;
  void fields;
  return {};
}
