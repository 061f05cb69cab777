/**
 * What a request holds besides text, counted so that no upstream counts more: images by the piece, sound by the second, and what
 * may be of any length for its bytes (packed documents, video, whatever is behind a link) as long as the model can read.
 */
import type { TokenEntry } from '../catalogue.ts';
import { base64Tokens } from '../tokens.ts';
import { unsupported } from './forbidden.ts';

export interface Media {
  images: number;
  /** Images that are to be looked at in full size. */
  originals: number;
  /** Base64 bytes of images in the body itself. */
  imageBytes: number;
  /** Bytes of base64 data URLs that are counted as what they are, and not as text. */
  dataBytes: number;
  /** What base64 outside of data URLs was counted as text. */
  rawTokens: number;
  audioTokens: number;
  /** What the upstream adds on its own. */
  hiddenTokens: number;
  /** The first part of each, by its place in the body; null without any. */
  soundAt: string | null;
  videoAt: string | null;
  /** Whether something in it may be as long as the model's context. */
  isUnbounded: boolean;
  /** Whether anything is to stay in the upstream's cache for an hour. */
  mayCacheLong: boolean;
}

export function noMedia(): Media {
  return {
    images: 0,
    originals: 0,
    imageBytes: 0,
    dataBytes: 0,
    rawTokens: 0,
    audioTokens: 0,
    hiddenTokens: 0,
    soundAt: null,
    videoAt: null,
    isUnbounded: false,
    mayCacheLong: false,
  };
}

/** Throws unsupported_parameter for what the model has no price for. */
export function requirePriced(media: Media, { model, price }: TokenEntry): void {
  if (media.soundAt !== null && !price.hears) {
    throw unsupported(media.soundAt, `no price is set for sound in the input of ${model.id}`);
  }
  if (media.videoAt !== null && !model.capabilities.includes('video_input')) {
    throw unsupported(media.videoAt, `${model.id} takes no video`);
  }
}

const DATA_MARK = ';base64,';
const BASE64 = /^[A-Za-z0-9+/_-]*={0,2}$/;

/** A link, a data URL, or (`isRaw`) base64 by itself. */
export function addImage(media: Media, source: string, { isRaw = false, detail = '' as unknown }) {
  if (detail === 'original') media.originals++;
  else media.images++;
  const isInline = isRaw || /^data:image\//i.test(source);
  if (isInline) media.imageBytes += takeOut(media, source, isRaw);
}

/** The rate of the smallest MP3 there is: 8 kbit/s. */
const LEAST_MP3_BYTES_PER_SECOND = 1_000;
const LEAST_PCM_BYTES_PER_SECOND = 16_000;
/** Gemini's 32 are the most among the upstreams we know. */
const AUDIO_TOKENS_PER_SECOND = 40;

/** `data`: base64, a data URL, or a link; `format`: as the caller names it; `at`: where it stands. */
export function addSound(media: Media, at: string, data: string, format: unknown): void {
  media.soundAt ??= at;
  const mark = data.startsWith('data:') ? data.indexOf(DATA_MARK) : -1;
  const base64 = mark < 0 ? data : data.slice(mark + DATA_MARK.length);
  const seconds = BASE64.test(base64) ? secondsOf(base64, format) : Infinity;
  if (Number.isFinite(seconds)) media.audioTokens += Math.ceil(seconds * AUDIO_TOKENS_PER_SECOND);
  else media.isUnbounded = true;
  takeOut(media, data, mark < 0);
}

/** The video itself, and the sound that may be in it. */
export function addVideo(media: Media, at: string, url: string): void {
  media.videoAt ??= at;
  media.isUnbounded = true;
  if (url.startsWith('data:')) takeOut(media, url, false);
}

/** Text is a token a byte of its base64 at most; a PDF, or anything that is packed, has as much text in it as it likes. */
export function addDocument(media: Media, data: string, isRaw = false): void {
  const mark = isRaw ? -1 : data.indexOf(DATA_MARK);
  const base64 = mark < 0 ? data : data.slice(mark + DATA_MARK.length);
  if (isPlainText(base64)) {
    // In a data URL it is counted a token a byte; by itself it was counted as what its base64 looks like.
    if (mark < 0) media.hiddenTokens += base64.length;
    return;
  }
  media.isUnbounded = true;
  takeOut(media, data, mark < 0);
}

/** Counts base64 out of the text, and answers its length. What is no base64 stays text. */
function takeOut(media: Media, source: string, isRaw: boolean): number {
  const mark = isRaw ? 0 : source.indexOf(DATA_MARK);
  if (mark < 0) return 0;
  const length = isRaw ? source.length : source.length - mark - DATA_MARK.length;
  if (!isRaw) media.dataBytes += length;
  else if (BASE64.test(source)) media.rawTokens += base64Tokens(source);
  return length;
}

// eslint-disable-next-line no-control-regex -- what text does not hold
const BINARY = /[\u0000-\u0008\u000e-\u001f\u007f]/;

/** All of it is looked at: readers of PDFs skip what stands before one. */
function isPlainText(base64: string): boolean {
  const bytes = Buffer.from(base64, 'base64');
  return bytes.length > 0 && !bytes.includes('%PDF') && !BINARY.test(bytes.toString('latin1'));
}

function secondsOf(base64: string, format: unknown): number {
  const bytes = Math.floor((base64.length * 3) / 4);
  switch (format) {
    case 'mp3':
      return isMp3(base64) ? bytes / LEAST_MP3_BYTES_PER_SECOND : Infinity;
    case 'pcm16':
      return bytes / LEAST_PCM_BYTES_PER_SECOND;
    case 'wav':
      return bytes / wavRate(Buffer.from(base64.slice(0, 1_024), 'base64'));
    default:
      return Infinity;
  }
}

/** Decoders go by the bytes, whatever the name says. */
function isMp3(base64: string): boolean {
  const head = Buffer.from(base64.slice(0, 8), 'base64');
  const hasTag = head.toString('latin1', 0, 3) === 'ID3';
  return hasTag || (head[0] === 0xff && ((head[1] ?? 0) & 0xe0) === 0xe0);
}

const PCM = 1;
const FLOAT = 3;
const EXTENSIBLE = 0xfffe;
/** Of the "fmt " chunk behind its name: size, format, channels, rate, bytes a second, bytes a frame, bits. */
const FORMAT_BYTES = 20;

/** Bytes a second of a WAV by its head, at the least; 0 where it is not plain samples. */
function wavRate(head: Buffer): number {
  const at = head.indexOf('fmt ', 0, 'latin1') + 4;
  const isWav =
    head.toString('latin1', 0, 4) === 'RIFF' && head.toString('latin1', 8, 12) === 'WAVE';
  if (!isWav || at < 12 || at + FORMAT_BYTES > head.length) return 0;
  const format = head.readUInt16LE(at + 4);
  if (format !== PCM && format !== FLOAT && format !== EXTENSIBLE) return 0;
  const channels = head.readUInt16LE(at + 6);
  const rate = head.readUInt32LE(at + 8);
  const frame = head.readUInt16LE(at + 16);
  const bits = head.readUInt16LE(at + 18);
  return Math.min(head.readUInt32LE(at + 12), rate * frame, (rate * channels * bits) / 8);
}
