/** WebM and Matroska with Opus, Vorbis, AAC or MP3 inside: EBML elements (RFC 8794, RFC 9559). */
import { vorbisPacketSeconds } from './ogg.ts';
import { LONGEST_PACKET_SECONDS, opusSeconds } from './opus.ts';

const EBML = 0x1a45dfa3;
/** They hold others; of unknown length or not, their children are simply read on. */
const PARENTS = new Set([0x18538067, 0x1f43b675, 0x1654ae6b, 0xa0]);
const TRACK = 0xae;
const TRACK_NUMBER = 0xd7;
const TRACK_TYPE = 0x83;
const CODEC = 0x86;
const CODEC_PRIVATE = 0x63a2;
const AUDIO = 0xe1;
const SAMPLING = 0xb5;
const BLOCKS = new Set([0xa3, 0xa1]);
const AUDIO_TYPE = 2;
/** A file of more is not read to its end. */
const MAX_ELEMENTS = 2_000_000;
/** The longest frame that AAC and MP3 have, in samples. */
const FRAME_SAMPLES = 2_048;

interface Element {
  id: number;
  at: number;
  /** Behind its last byte; the end of the file where its length is unknown. */
  end: number;
}

interface Track {
  isOpus: boolean;
  /** Of one frame, where it is not Opus. */
  frameSeconds: number;
}

/** Counts what the blocks hold. Null for no Matroska, and for another codec in any track of sound. */
export function webmSeconds(bytes: Buffer): number | null {
  const head = elementAt(bytes, 0);
  if (head?.id !== EBML) return null;
  const tracks = new Map<number, Track>();
  let seconds = 0;
  let at = head.end;
  for (let n = 0; at < bytes.length; n += 1) {
    if (n > MAX_ELEMENTS) return null;
    const element = elementAt(bytes, at);
    if (!element) break;
    at = PARENTS.has(element.id) ? element.at : element.end;
    if (element.id === TRACK) {
      const track = readTrack(bytes, element);
      if (track === 'unknown') return null;
      if (track) tracks.set(track.number, track);
    } else if (BLOCKS.has(element.id)) seconds += blockSeconds(bytes, element, tracks);
  }
  return tracks.size ? seconds : null;
}

function elementAt(bytes: Buffer, start: number): Element | null {
  const idLength = Math.clz32(bytes[start] ?? 0) - 23;
  const sizeAt = start + idLength;
  const sizeLength = Math.clz32(bytes[sizeAt] ?? 0) - 23;
  const at = sizeAt + sizeLength;
  if (idLength > 4 || sizeLength > 8 || at > bytes.length) return null;
  let size = bytes[sizeAt]! & (0xff >> sizeLength);
  let isUnknown = size === 0xff >> sizeLength;
  for (let n = sizeAt + 1; n < at; n += 1) {
    size = size * 256 + bytes[n]!;
    isUnknown &&= bytes[n] === 0xff;
  }
  const id = bytes.readUIntBE(start, idLength);
  return { id, at, end: isUnknown ? bytes.length : Math.min(at + size, bytes.length) };
}

function children(bytes: Buffer, { at, end }: Element): Map<number, Element> {
  const found = new Map<number, Element>();
  while (at < end) {
    const child = elementAt(bytes, at);
    if (!child) break;
    found.set(child.id, child);
    at = child.end;
  }
  return found;
}

/** Null for a track that is no sound. */
function readTrack(
  bytes: Buffer,
  element: Element,
): (Track & { number: number }) | 'unknown' | null {
  const parts = children(bytes, element);
  if (whole(bytes, parts.get(TRACK_TYPE)) !== AUDIO_TYPE) return null;
  const codec = text(bytes, parts.get(CODEC));
  const number = whole(bytes, parts.get(TRACK_NUMBER));
  if (codec === 'A_OPUS') return { number, isOpus: true, frameSeconds: 0 };
  const frameSeconds =
    codec === 'A_VORBIS'
      ? vorbisSeconds(bytes, parts.get(CODEC_PRIVATE))
      : codec.startsWith('A_AAC') || codec === 'A_MPEG/L3'
        ? FRAME_SAMPLES / samplingOf(bytes, parts.get(AUDIO))
        : null;
  return frameSeconds === null ? 'unknown' : { number, isOpus: false, frameSeconds };
}

/** Three headers, of which the first one counts: their number less one, two lengths, the header itself. */
function vorbisSeconds(bytes: Buffer, data: Element | undefined): number | null {
  const at = data ? bytes.indexOf('\x01vorbis', data.at, 'latin1') : -1;
  return data && at >= 0 && at + 29 <= data.end ? vorbisPacketSeconds(bytes, at) : null;
}

function samplingOf(bytes: Buffer, audio: Element | undefined): number {
  const element = audio && children(bytes, audio).get(SAMPLING);
  const usual = 8_000;
  if (!element) return usual;
  const { at, end } = element;
  const rate = end - at === 8 ? bytes.readDoubleBE(at) : end - at === 4 ? bytes.readFloatBE(at) : 0;
  return rate >= 1 && rate <= 192_000 ? rate : usual;
}

function blockSeconds(bytes: Buffer, { at, end }: Element, tracks: Map<number, Track>): number {
  const numberLength = Math.clz32(bytes[at] ?? 0) - 23;
  const flagsAt = at + numberLength + 2;
  if (numberLength > 4 || flagsAt >= end) return 0;
  const number = bytes.readUIntBE(at, numberLength) - 2 ** (7 * numberLength);
  const track = tracks.get(number);
  if (!track) return 0;
  const isLaced = (bytes[flagsAt]! & 6) !== 0;
  const frames = isLaced ? (bytes[flagsAt + 1] ?? 0) + 1 : 1;
  if (!track.isOpus) return frames * track.frameSeconds;
  return isLaced ? frames * LONGEST_PACKET_SECONDS : opusSeconds(bytes, flagsAt + 1, end);
}

function whole(bytes: Buffer, element: Element | undefined): number {
  const length = element ? element.end - element.at : 0;
  return element && length >= 1 && length <= 6 ? bytes.readUIntBE(element.at, length) : 0;
}

function text(bytes: Buffer, element: Element | undefined): string {
  return element
    ? bytes.toString('latin1', element.at, Math.min(element.end, element.at + 64))
    : '';
}
