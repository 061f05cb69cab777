/**
 * How long a recording lasts. It is counted frame by frame and never taken from what the file says of itself, so that a false header
 * holds no less money than its transcription will cost.
 */
import { flacSeconds } from './flac.ts';
import { mp4Seconds } from './mp4.ts';
import { mpegSeconds } from './mpeg.ts';
import { oggSeconds } from './ogg.ts';
import { wavSeconds } from './wav.ts';
import { webmSeconds } from './webm.ts';

/** Speech is hardly ever packed into fewer bytes: 4 kbit/s. */
const LEAST_BYTES_PER_SECOND = 500;
/** Speech as it is usually packed: 32 kbit/s. */
const USUAL_BYTES_PER_SECOND = 4_000;

const REST_MARGIN = 1.1;

export interface Length {
  seconds: number;
  /** What it can be at most: the same where it was counted. */
  mostSeconds: number;
  isCounted: boolean;
}

export function lengthOf(file: Buffer): Length {
  const seconds = counted(file);
  if (seconds !== null) return { seconds, mostSeconds: seconds, isCounted: true };
  return guessed(file.length);
}

/** Of a recording of `wholeBytes` that begins like this, never low: the rest is taken to be like what is there. */
export function lengthOfPrefix(head: Buffer, wholeBytes: number): Length {
  const known = lengthOf(head);
  if (!known.isCounted || wholeBytes <= head.length)
    return wholeBytes > head.length ? guessed(wholeBytes) : known;
  const times = (wholeBytes / head.length) * REST_MARGIN;
  return { ...known, seconds: known.seconds * times, mostSeconds: known.mostSeconds * times };
}

/** Of so many bytes that nobody has read. */
function guessed(bytes: number): Length {
  return {
    seconds: bytes / USUAL_BYTES_PER_SECOND,
    mostSeconds: bytes / LEAST_BYTES_PER_SECOND,
    isCounted: false,
  };
}

function counted(file: Buffer): number | null {
  for (const count of [wavSeconds, flacSeconds, oggSeconds, webmSeconds, mp4Seconds, mpegSeconds]) {
    const seconds = count(file);
    if (seconds !== null && Number.isFinite(seconds) && seconds > 0) return seconds;
  }
  return null;
}
