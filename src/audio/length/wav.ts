/** WAV: RIFF and RF64 with samples of a fixed size. */

const CHUNKS_FROM = 12;
const MAX_CHUNKS = 1_000;
const EXTENSIBLE = 0xfffe;
/** Linear, float, A-law, mu-law: so many bytes are so much time. By the most bytes of one sample, whatever the file says. */
const FIXED_SIZE = new Map([
  [1, 8],
  [3, 8],
  [6, 1],
  [7, 1],
]);

/**
 * Everything from the first chunk of samples on counts as samples, whatever its header says: readers go on behind a size that is
 * wrong. Null for no WAV, and for samples that are compressed.
 */
export function wavSeconds(bytes: Buffer): number | null {
  const kind = bytes.toString('latin1', 0, 4);
  const isWav = (kind === 'RIFF' || kind === 'RF64') && bytes.toString('latin1', 8, 12) === 'WAVE';
  if (!isWav) return null;
  let bytesPerSecond: number | null = null;
  let at = CHUNKS_FROM;
  for (let n = 0; n < MAX_CHUNKS && at + 8 <= bytes.length; n += 1) {
    const name = bytes.toString('latin1', at, at + 4);
    const size = bytes.readUInt32LE(at + 4);
    const start = at + 8;
    if (name === 'data') return bytesPerSecond && sampleBytes(bytes, start, size) / bytesPerSecond;
    // Some readers go by the first of several, some by the last.
    if (name === 'fmt ') {
      const rate = rateOf(bytes.subarray(start, start + size));
      if (rate === null) return null;
      bytesPerSecond = Math.min(rate, bytesPerSecond ?? rate);
    }
    at = start + size + (size % 2);
  }
  return null;
}

/** What follows the samples is left out only where it is a list of chunks to the very end, none of them samples. */
function sampleBytes(bytes: Buffer, start: number, size: number): number {
  const whole = bytes.length - start;
  let at = start + size + (size % 2);
  for (let n = 0; n < MAX_CHUNKS && at + 8 <= bytes.length; n += 1) {
    if (bytes.toString('latin1', at, at + 4) === 'data') return whole;
    const next = bytes.readUInt32LE(at + 4);
    at += 8 + next + (next % 2);
  }
  // Readers take it for unknown, and read on.
  const isUnknown = size === 0 || at > bytes.length + 1;
  return isUnknown || at + 8 <= bytes.length ? whole : size;
}

function rateOf(format: Buffer): number | null {
  if (format.length < 16) return null;
  const tag = format.readUInt16LE(0);
  const channels = format.readUInt16LE(2);
  const samplesPerSecond = format.readUInt32LE(4);
  const bits = format.readUInt16LE(14);
  const coding = tag === EXTENSIBLE && format.length >= 26 ? format.readUInt16LE(24) : tag;
  const most = FIXED_SIZE.get(coding);
  if (most === undefined) return null;
  const rate = samplesPerSecond * channels * Math.min(most, Math.ceil(bits / 8));
  return rate > 0 ? rate : null;
}
