/** MP4 and M4A with AAC inside: boxes of ISO 14496-12, whole or in fragments. */

const PARENTS = new Set(['moov', 'trak', 'edts', 'mdia', 'minf', 'stbl', 'moof', 'traf']);
/** A file of more is not read to its end. */
const MAX_BOXES = 200_000;
const AAC_RATES = [
  96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000,
  7_350,
] as const;
const AAC_SAMPLES = 1_024;
const OPEN_RATE = 15;
const ESDS = Buffer.from('esds');
const MAX_ESDS = 64;

interface Track {
  id: number;
  isSound: boolean;
  frames: number;
  /** How often it may be played: each edit can be all of it once more. */
  edits: number;
  /** Null where the sound is not AAC; undefined where nobody said what it is. */
  rate: number | null | undefined;
}

/** As many frames as there are, whatever the headers say of the time. Null for no MP4, and for other codecs. */
export function mp4Seconds(bytes: Buffer): number | null {
  if (bytes.toString('latin1', 4, 8) !== 'ftyp') return null;
  const tracks: Track[] = [];
  let current: Track | undefined;
  // The ends of the boxes that hold this one: to readers none reaches out of them, and a bad one spoils no more than them.
  const ends: number[] = [];
  let at = 0;
  let n = 0;
  for (; n < MAX_BOXES && at + 8 <= bytes.length; n += 1) {
    while (ends.length && at >= ends.at(-1)!) ends.pop();
    const limit = ends.at(-1);
    const box = boxAt(bytes, at, limit ?? bytes.length);
    if (!box) {
      if (limit === undefined) break;
      at = limit;
      continue;
    }
    const isParent = PARENTS.has(box.type);
    if (isParent) ends.push(box.end);
    at = isParent ? box.start : box.end;
    if (box.type === 'trak')
      tracks.push((current = { id: 0, isSound: false, frames: 0, edits: 0, rate: undefined }));
    else if (box.type === 'tfhd') {
      const id = whole(bytes, box, 4);
      current = tracks.find((track) => track.id === id);
    } else if (current) readInto(current, bytes, box);
  }
  if (n === MAX_BOXES) return null;
  const sound = tracks.filter(({ isSound }) => isSound);
  if (!sound.length || sound.some(({ rate }) => (rate ?? null) === null)) return null;
  return Math.max(
    ...sound.map(({ frames, edits, rate }) => (Math.max(1, edits) * frames * AAC_SAMPLES) / rate!),
  );
}

interface Box {
  type: string;
  start: number;
  end: number;
}

/** Null for one that is no box, or has no room. */
function boxAt(bytes: Buffer, at: number, limit: number): Box | null {
  let size = bytes.readUInt32BE(at);
  let start = at + 8;
  if (size === 1 && at + 16 <= bytes.length) {
    size = bytes.readUInt32BE(at + 8) * 2 ** 32 + bytes.readUInt32BE(at + 12);
    start = at + 16;
  }
  const end = size === 0 ? limit : Math.min(at + size, limit);
  return end < start ? null : { type: bytes.toString('latin1', at + 4, at + 8), start, end };
}

function readInto(track: Track, bytes: Buffer, box: Box): void {
  switch (box.type) {
    case 'tkhd':
      track.id = whole(bytes, box, bytes[box.start] === 1 ? 20 : 12);
      return;
    case 'hdlr':
      track.isSound = bytes.toString('latin1', box.start + 8, box.start + 12) === 'soun';
      return;
    case 'stsz':
    case 'stz2':
      track.frames = Math.max(track.frames, whole(bytes, box, 8));
      return;
    case 'trun':
      track.frames += whole(bytes, box, 4);
      return;
    case 'elst':
      track.edits += editsIn(bytes, box);
      return;
    case 'stsd':
      track.rate = lower(track, aacRate(bytes, box.start, box.end));
  }
}

/** Of a track that is described twice; null where either is not AAC. */
function lower({ rate }: Track, other: number | null): number | null {
  if (rate === undefined) return other;
  return rate === null || other === null ? null : Math.min(rate, other);
}

/** Entries that play something; those that wait have a time of -1. */
function editsIn(bytes: Buffer, { start, end }: Box): number {
  if (start + 8 > end) return 0;
  const isLong = bytes[start] === 1;
  const entryBytes = isLong ? 20 : 12;
  const most = Math.min(bytes.readUInt32BE(start + 4), Math.floor((end - start - 8) / entryBytes));
  let edits = 0;
  for (let n = 0; n < most; n += 1) {
    const timeAt = start + 8 + n * entryBytes + (isLong ? 8 : 4);
    if (bytes.readInt32BE(timeAt) !== -1) edits += 1;
  }
  return edits;
}

function whole(bytes: Buffer, { start, end }: Box, offset: number): number {
  return start + offset + 4 <= end ? bytes.readUInt32BE(start + offset) : 0;
}

/** The lowest of what may be one: what stands before the true one need not be one to readers. */
function aacRate(bytes: Buffer, start: number, end: number): number | null {
  if (bytes.toString('latin1', start + 12, start + 16) !== 'mp4a') return null;
  const entry = bytes.subarray(start, end);
  let lowest: number | null = null;
  let found = 0;
  for (let at = entry.indexOf(ESDS); at >= 0; at = entry.indexOf(ESDS, at + 4)) {
    if ((found += 1) > MAX_ESDS) return null;
    const rate = esdsRate(bytes, start + at + 8, end);
    if (rate !== null) lowest = Math.min(rate, lowest ?? rate);
  }
  return lowest;
}

/** From the AudioSpecificConfig (ISO 14496-3 1.6.2.1), which is what decoders go by. */
function esdsRate(bytes: Buffer, from: number, end: number): number | null {
  // Descriptors, each with a tag and a length of up to four bytes: of the stream, of its decoder, of the decoder's settings.
  let at = from;
  for (const [tag, skip] of [
    [3, 3],
    [4, 13],
    [5, 0],
  ] as const) {
    if (bytes[at] !== tag) return null;
    at += 1;
    for (let n = 0; n < 4 && (bytes[at] ?? 0) & 0x80; n += 1) at += 1;
    at += 1 + skip;
  }
  return configRate(bytes, at, end);
}

/** Null where it is not said in the plain way. */
export function configRate(bytes: Buffer, at: number, end: number): number | null {
  if (at + 2 > end) return null;
  const index = ((bytes[at]! & 7) << 1) | (bytes[at + 1]! >> 7);
  // Its kind stands in the first five bits, and may stand in six more.
  if (bytes[at]! >> 3 === 31) return null;
  if (index !== OPEN_RATE) return AAC_RATES[index] ?? null;
  if (at + 5 > end) return null;
  const rate =
    ((bytes[at + 1]! & 0x7f) << 17) |
    (bytes[at + 2]! << 9) |
    (bytes[at + 3]! << 1) |
    (bytes[at + 4]! >> 7);
  return rate >= 1_000 ? rate : null;
}
