/** MPEG audio (MP3 and its like) and AAC in ADTS: frames in a row, each of which says how long it is. */

export interface Frame {
  bytes: number;
  seconds: number;
}

const KBITS_1 = [
  [0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448],
  [0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384],
  [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
] as const;
const KBITS_2 = [
  [0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256],
  [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
  [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
] as const;
const SAMPLE_RATES = [44_100, 48_000, 32_000] as const;
const AAC_RATES = [
  96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000,
  7_350,
] as const;
const AAC_SAMPLES = 1_024;
/** Where a file begins that is none of these, no frame is looked for further on than this. */
const FIRST_WITHIN = 4_096;
/** Bytes that are no frames; a file with more of them is not read to its end. */
const MAX_LOST = 2 * 1_024 * 1_024;

/** Null for what does not begin with frames, or with an ID3 tag and frames behind it. */
export function mpegSeconds(bytes: Buffer): number | null {
  return walk(bytes, mpegFrame) ?? walk(bytes, adtsFrame);
}

/** Every frame counts, wherever it stands: readers skip what is none, whatever a file says of its own length. */
function walk(bytes: Buffer, frameAt: (bytes: Buffer, at: number) => Frame | null): number | null {
  let at = afterTag(bytes);
  let seconds = 0;
  let frames = 0;
  let lost = 0;
  const firstBefore = at + FIRST_WITHIN;
  while (at + 7 <= bytes.length) {
    const frame = frameAt(bytes, at);
    const next = frame && at + frame.bytes;
    // The first one must have another behind it; later ones count alone, for readers take them so.
    const isFrame =
      frames > 0 || (next !== null && (next + 7 > bytes.length || frameAt(bytes, next) !== null));
    if (frame && next !== null && isFrame) {
      seconds += frame.seconds;
      frames += 1;
      at = next;
      continue;
    }
    lost += 1;
    if (lost > MAX_LOST || (frames === 0 && at > firstBefore)) return null;
    at += 1;
  }
  return frames > 0 ? seconds : null;
}

/** ID3v2 tags stand first, each with its own length. What readers take for no tag is none: they play the frames in it. */
function afterTag(bytes: Buffer): number {
  let at = 0;
  while (isTag(bytes, at)) {
    const [a, b, c, d] = [bytes[at + 6]!, bytes[at + 7]!, bytes[at + 8]!, bytes[at + 9]!];
    at += 10 + (((a & 0x7f) << 21) | ((b & 0x7f) << 14) | ((c & 0x7f) << 7) | (d & 0x7f));
  }
  return at;
}

/** ID3v2.4 3.1: no version is 255, and no byte of a length has its highest bit set. */
function isTag(bytes: Buffer, at: number): boolean {
  if (at + 10 > bytes.length || bytes.toString('latin1', at, at + 3) !== 'ID3') return false;
  const isVersion = bytes[at + 3] !== 0xff && bytes[at + 4] !== 0xff;
  return isVersion && (bytes.readUInt32BE(at + 6) & 0x80_80_80_80) === 0;
}

/** ISO 11172-3 2.4.1.3, and the half rates of ISO 13818-3 and MPEG 2.5. Frames of a free bitrate are none: they do not say how long they are. */
export function mpegFrame(bytes: Buffer, at: number): Frame | null {
  const [first, second, third] = [bytes[at]!, bytes[at + 1]!, bytes[at + 2]!];
  if (first !== 0xff || (second & 0xe0) !== 0xe0) return null;
  const version = (second >> 3) & 3;
  const layer = 3 - ((second >> 1) & 3);
  const rate = SAMPLE_RATES[(third >> 2) & 3];
  const kbits = (version === 3 ? KBITS_1 : KBITS_2)[layer]?.[third >> 4];
  if (version === 1 || rate === undefined || !kbits) return null;
  const perSecond = rate / (version === 3 ? 1 : version === 2 ? 2 : 4);
  const padding = (third >> 1) & 1;
  if (layer === 0) {
    const slots = Math.floor((12_000 * kbits) / perSecond) + padding;
    return { bytes: 4 * slots, seconds: 384 / perSecond };
  }
  const samples = layer === 2 && version !== 3 ? 576 : 1_152;
  const length = Math.floor((samples * 125 * kbits) / perSecond) + padding;
  return { bytes: length, seconds: samples / perSecond };
}

/** ISO 13818-7 6.2. */
function adtsFrame(bytes: Buffer, at: number): Frame | null {
  if (bytes[at] !== 0xff || (bytes[at + 1]! & 0xf6) !== 0xf0) return null;
  const rate = AAC_RATES[(bytes[at + 2]! >> 2) & 15];
  const length = ((bytes[at + 3]! & 3) << 11) | (bytes[at + 4]! << 3) | (bytes[at + 5]! >> 5);
  if (rate === undefined || length < 7) return null;
  const blocks = (bytes[at + 6]! & 3) + 1;
  return { bytes: length, seconds: (blocks * AAC_SAMPLES) / rate };
}
