/** What a recording is held as, in its request and in an estimate of it. */
import type { MediaParams } from '../config/config.ts';
import { estimateText } from '../tokens.ts';
import type { Asked } from './asked.ts';

/** Whole seconds are reported, of which the last may be a beginning, and decoders add a little at the ends. */
const ROUNDED_UP_SECONDS = 1;
/** What instructions and the template around them can be without being counted. */
const TOKENS_AROUND = 300;

export interface Recording {
  /** At most. */
  seconds: number;
  /** Whether somebody knows it: then it is refused with the order where it is too long, and else taken for the longest there is. */
  isCounted: boolean;
  /** What the transcriber is told besides. */
  prompt: string | null;
}

export function heardOf(
  { seconds, isCounted, prompt }: Recording,
  { maxInputSeconds: longest }: Pick<MediaParams, 'maxInputSeconds'>,
): Asked {
  const rounded = Math.min(Math.ceil(seconds) + ROUNDED_UP_SECONDS, longest);
  const tokens = prompt === null ? 0 : estimateText(Buffer.from(prompt)).tokens;
  return {
    input_seconds: isCounted && seconds > longest ? seconds : rounded,
    ...(tokens > 0 && { input_tokens: TOKENS_AROUND + tokens }),
  };
}
