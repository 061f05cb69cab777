/** WebM and Matroska with Opus, Vorbis, AAC or MP3 inside: EBML elements (RFC 8794, RFC 9559). */
import { configRate } from './mp4.ts';
import { mpegFrame } from './mpeg.ts';
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
const BLOCKS = new Set([0xa3, 0xa1]);
const AUDIO_TYPE = 2;
/** A file of more is not read to its end. */
const MAX_ELEMENTS = 1_000_000;
const AAC_SAMPLES = 1_024;
/** 576 samples at 8,000 Hz. */
const LONGEST_MP3_SECONDS = 0.072;

interface Element {
  id: number;
  at: number;
  /** Behind its last byte; the end of the file where its length is unknown, or reaches beyond it. */
  end: number;
  isCutOff: boolean;
}

interface Track {
  codec: 'opus' | 'mp3' | 'other';
  /** Of one frame of another codec. */
  frameSeconds: number;
}

/**
 * Counts what the blocks hold. Null for no Matroska, for another codec in any track of sound, and where an element reaches out of the one
 * that holds it: readers go on with the next cluster then, which it would hide.
 */
export function webmSeconds(bytes: Buffer): number | null {
  const head = elementAt(bytes, 0);
  if (head?.id !== EBML) return null;
  const tracks = new Map<number, Track>();
  let seconds = 0;
  const ends: number[] = [];
  let at = head.end;
  for (let n = 0; at < bytes.length; n += 1) {
    if (n > MAX_ELEMENTS) return null;
    const element = elementAt(bytes, at);
    if (!element) break;
    while (ends.length && at >= ends.at(-1)!) ends.pop();
    const isParent = PARENTS.has(element.id);
    const isLast = isParent || BLOCKS.has(element.id);
    if ((element.isCutOff && !isLast) || element.end > (ends.at(-1) ?? Infinity)) return null;
    if (isParent) ends.push(element.end);
    at = isParent ? element.at : element.end;
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
  const end = isUnknown ? bytes.length : Math.min(at + size, bytes.length);
  return { id, at, end, isCutOff: !isUnknown && at + size > bytes.length };
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
  if (codec === 'A_OPUS') return { number, codec: 'opus', frameSeconds: 0 };
  if (codec === 'A_MPEG/L3') return { number, codec: 'mp3', frameSeconds: 0 };
  const settings = parts.get(CODEC_PRIVATE);
  const frameSeconds =
    codec === 'A_VORBIS'
      ? vorbisSeconds(bytes, settings)
      : codec.startsWith('A_AAC')
        ? aacSeconds(bytes, settings)
        : null;
  return frameSeconds === null ? 'unknown' : { number, codec: 'other', frameSeconds };
}

/** By what decoders go by: the rate that the track itself says is for people. */
function aacSeconds(bytes: Buffer, settings: Element | undefined): number | null {
  const rate = settings ? configRate(bytes, settings.at, settings.end) : null;
  return rate === null ? null : AAC_SAMPLES / rate;
}

/** Three headers, of which the first one counts: their number less one, two lengths, the header itself. */
function vorbisSeconds(bytes: Buffer, data: Element | undefined): number | null {
  const at = data ? bytes.indexOf('\x01vorbis', data.at, 'latin1') : -1;
  return data && at >= 0 && at + 29 <= data.end ? vorbisPacketSeconds(bytes, at) : null;
}

function blockSeconds(bytes: Buffer, { at, end }: Element, tracks: Map<number, Track>): number {
  const numberLength = Math.clz32(bytes[at] ?? 0) - 23;
  const flagsAt = at + numberLength + 2;
  if (numberLength > 4 || flagsAt >= end) return 0;
  const number = bytes.readUIntBE(at, numberLength) - 2 ** (7 * numberLength);
  const track = tracks.get(number);
  if (!track) return 0;
  const { codec, frameSeconds } = track;
  const isLaced = (bytes[flagsAt]! & 6) !== 0;
  const frames = isLaced ? (bytes[flagsAt + 1] ?? 0) + 1 : 1;
  if (codec === 'other') return frames * frameSeconds;
  if (codec === 'mp3') {
    const frame = isLaced ? null : mpegFrame(bytes, flagsAt + 1);
    return frames * (frame?.seconds ?? LONGEST_MP3_SECONDS);
  }
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
