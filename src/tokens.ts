/**
 * How many tokens a text can be, never low, in one table look-up per byte and without a tokenizer: those need seconds for some
 * texts of 20 KB. A pair of bytes weighs what a token boundary between them may cost: pairs that are common in words are merged
 * by every byte-pair vocabulary, pairs that are not are usually cut. Measured against o200k and cl100k: never below either on
 * prose, code, JSON, eighteen scripts and random bytes of every kind; English prose comes out about 1.5 times too high.
 */
import { setImmediate } from 'node:timers/promises';

/** What an image can cost at the upstreams we know, at high detail and in full size, and a margin for very large ones. */
const TOKENS_PER_IMAGE = 5_000;
const TOKENS_PER_ORIGINAL = 25_000;
const IMAGE_BYTES_PER_TOKEN = 100;
/** Per request: what chat templates put around the messages. */
const TOKENS_PER_REQUEST = 8;
/** A first byte may weigh less within a text than at its beginning. */
const BOUNDARY_TOKENS = 3;

/** Weights are in twentieths of a token. */
const UNIT = 20;
const DATA_MARK = ';base64,';
const QUOTE = 0x22;

export interface TextEstimate {
  /** Of everything but the contents of base64 data URLs. */
  tokens: number;
  /** How many base64 data URLs there are, and the bytes of their contents. */
  dataRuns: number;
  dataBytes: number;
  tokenizer: Tokenizer;
}

/**
 * How text is counted. `weighed` is never low. `heuristic` needs no table: three quarters of a token a character, and a token for 3.2
 * bytes; for digits, signs and rare scripts that can be low.
 */
export type Tokenizer = 'weighed' | 'heuristic';

const TOKENS_PER_CHARACTER = 0.75;
const BYTES_PER_TOKEN = 3.2;
/** So much is counted in one go where others wait: about half a millisecond. */
const SLICE_BYTES = 262_144;

/** Counts raw body bytes: the JSON around the words pays for the roles and separators of the upstream's own template. */
export function estimateText(body: Buffer, tokenizer: Tokenizer = 'weighed'): TextEstimate {
  const known = body.length > SLICE_BYTES ? countedAhead.get(body) : undefined;
  if (known?.tokenizer === tokenizer) return known;
  const slices = counting(body, tokenizer);
  for (;;) {
    const slice = slices.next();
    if (slice.done) return slice.value;
  }
}

const countedAhead = new WeakMap<Buffer, TextEstimate>();

/** Counts a large body slice by slice, between which others have their turn; `estimateText` then knows it. Null for a small one. */
export function countAhead(body: Buffer, tokenizer: Tokenizer): Promise<void> | null {
  return body.length > SLICE_BYTES ? countSlices(body, tokenizer) : null;
}

async function countSlices(body: Buffer, tokenizer: Tokenizer): Promise<void> {
  const slices = counting(body, tokenizer);
  for (;;) {
    const slice = slices.next();
    if (slice.done) {
      countedAhead.set(body, slice.value);
      return;
    }
    await setImmediate();
  }
}

function* counting(body: Buffer, tokenizer: Tokenizer): Generator<undefined, TextEstimate> {
  const measure = tokenizer === 'weighed' ? weigh : countCharacters;
  let sum = 0;
  let dataRuns = 0;
  let dataBytes = 0;
  let at = 0;
  let sliceEnd = SLICE_BYTES;
  for (;;) {
    const mark = body.indexOf(DATA_MARK, at, 'latin1');
    const textEnd = mark < 0 ? body.length : mark + DATA_MARK.length;
    let previous = SPACE;
    while (at < textEnd) {
      const to = Math.min(textEnd, sliceEnd);
      sum += measure(body, at, to, previous);
      at = to;
      previous = body[at - 1]!;
      if (at < sliceEnd) continue;
      sliceEnd = at + SLICE_BYTES;
      yield;
    }
    if (mark < 0) break;
    const quote = body.indexOf(QUOTE, textEnd);
    at = quote < 0 ? body.length : quote;
    dataRuns++;
    dataBytes += at - textEnd;
    sliceEnd = Math.max(sliceEnd, at);
  }
  const text =
    tokenizer === 'weighed'
      ? sum / UNIT
      : Math.max(sum * TOKENS_PER_CHARACTER, (body.length - dataBytes) / BYTES_PER_TOKEN);
  return { tokens: Math.ceil(text) + TOKENS_PER_REQUEST, dataRuns, dataBytes, tokenizer };
}

/** Of UTF-8: bytes that begin one. */
function countCharacters(body: Buffer, from: number, to: number): number {
  let count = 0;
  for (let at = from; at < to; at++) if ((body[at]! & 0xc0) !== 0x80) count++;
  return count;
}

/** What a request holds besides text. */
export interface MediaCount {
  images: number;
  /** Images that are looked at in full size. */
  originals: number;
  /** Base64 bytes of images in the body. */
  imageBytes: number;
  /** Bytes of data URLs that are no text to the model; what only looks like a data URL is counted as text, a token a byte. */
  dataBytes: number;
  /** What other base64 was counted as text, by `base64Tokens`. */
  rawTokens: number;
  audioTokens: number;
  hiddenTokens: number;
}

/** `perImage`: what the model charges for one at most. */
export function inputTokens(
  text: TextEstimate,
  media: MediaCount,
  perImage = TOKENS_PER_IMAGE,
): number {
  // A character of base64 weighs a token at most, and is three quarters of one otherwise.
  const share = text.tokenizer === 'weighed' ? 1 : TOKENS_PER_CHARACTER;
  const raw = Math.floor(media.rawTokens * share);
  const read = text.tokens - raw + Math.max(0, text.dataBytes - media.dataBytes);
  return (
    Math.max(read, TOKENS_PER_REQUEST) +
    media.audioTokens +
    media.hiddenTokens +
    media.images * perImage +
    media.originals * Math.max(perImage, TOKENS_PER_ORIGINAL) +
    Math.ceil(media.imageBytes / IMAGE_BYTES_PER_TOKEN)
  );
}

/** Of a body of which only a part was read: what looks like an image counts as one. */
export function prefixTokens(text: TextEstimate, perImage = TOKENS_PER_IMAGE): number {
  const { tokens, dataRuns, dataBytes } = text;
  return tokens + dataRuns * perImage + Math.ceil(dataBytes / IMAGE_BYTES_PER_TOKEN);
}

/** What `estimateText` counts for this text within a body, or a little less. */
export function base64Tokens(text: string): number {
  const weight = weigh(Buffer.from(text, 'latin1'), 0, text.length, SPACE);
  return Math.max(0, Math.floor(weight / UNIT) - BOUNDARY_TOKENS);
}

/** Tokens of generated text whose usage nobody reported: an average, because the caller is charged by it. */
export function outputTokensOf(bytes: number): number {
  return Math.ceil((bytes * 10) / 32);
}

/** Four pairs a turn: one at a time takes three times as long. */
function weigh(body: Buffer, from: number, to: number, before: number): number {
  let weight = 0;
  let previous = before;
  let at = from;
  for (const last = to - 3; at < last; at += 4) {
    const first = body[at]!;
    const second = body[at + 1]!;
    const third = body[at + 2]!;
    const fourth = body[at + 3]!;
    weight +=
      WEIGHTS[(previous << 8) | first]! +
      WEIGHTS[(first << 8) | second]! +
      WEIGHTS[(second << 8) | third]! +
      WEIGHTS[(third << 8) | fourth]!;
    previous = fourth;
  }
  for (; at < to; at++) {
    const byte = body[at]!;
    weight += WEIGHTS[(previous << 8) | byte]!;
    previous = byte;
  }
  return weight;
}

const SPACE = 0x20;

/** By first letter, the second letters of the 255 pairs that make up 95 % of English, German and Finnish words and of code. */
const COMMON_PAIRS: Record<string, string> = {
  a: 'bcdfgilmnprstuvwy',
  b: 'aeilorsuy',
  c: 'acehiklorstu',
  d: 'adeiorstuy',
  e: 'abcdefilmnopqrstvwxy',
  f: 'aefilortu',
  g: 'aehinoru',
  h: 'aeiortu',
  i: 'abcdefglmnoprstvxz',
  j: 'es',
  k: 'eis',
  l: 'adeilostuy',
  m: 'abdegimopsu',
  n: 'acdefgilnopstu',
  o: 'abcdfgiklmnoprstuvw',
  p: 'aeiloprstu',
  q: 'u',
  r: 'acdegiklmnorstuvy',
  s: 'acdehikoprstu',
  t: 'acdehiloprstuwy',
  u: 'bdeilmnprst',
  v: 'aei',
  w: 'aehinos',
  x: 'apt',
  y: 'mopst',
  z: 'z',
};

type Kind = 'lower' | 'upper' | 'digit' | 'blank' | 'mark' | 'high';

function kindOf(byte: number): Kind {
  if (byte >= 0x80) return 'high';
  if (byte >= 0x61 && byte <= 0x7a) return 'lower';
  if (byte >= 0x41 && byte <= 0x5a) return 'upper';
  if (byte >= 0x30 && byte <= 0x39) return 'digit';
  return byte <= SPACE ? 'blank' : 'mark';
}

function weightOf(previous: number, byte: number): number {
  const before = kindOf(previous);
  switch (kindOf(byte)) {
    case 'lower':
      return letterWeight(before, previous, byte);
    case 'upper':
      return before === 'lower' ? UNIT : letterWeight(before, previous, byte);
    case 'digit':
      // Some vocabularies have no token of two digits; a blank before one is a token of its own.
      return before === 'blank' ? 2 * UNIT : UNIT;
    case 'blank':
      return before === 'blank' ? (previous === byte ? 2 : 14) : 0;
    case 'mark':
      return before === 'mark' ? 16 : UNIT;
    case 'high':
      return highWeight(byte);
  }
}

function letterWeight(before: Kind, previous: number, byte: number): number {
  if (before !== 'lower' && before !== 'upper') return UNIT;
  const first = String.fromCharCode(previous | 0x20);
  const isCommon = COMMON_PAIRS[first]!.includes(String.fromCharCode(byte | 0x20));
  const isUpperPair = before === 'upper' && byte < 0x60;
  if (isCommon) return isUpperPair ? 10 : 7;
  return isUpperPair ? 18 : 17;
}

/** The first byte of a character carries it all: near the worst case of its script, one token a byte where there is none. */
function highWeight(byte: number): number {
  if (byte < 0xc0) return 0;
  if (byte <= 0xc5) return 32;
  if (byte < 0xe0) return 2 * UNIT;
  if (byte < 0xe3) return 3 * UNIT;
  if (byte < 0xea) return 50;
  if (byte < 0xee) return 54;
  return byte < 0xf0 ? 3 * UNIT : 4 * UNIT;
}

const WEIGHTS = new Uint8Array(0x1_00_00);
for (let previous = 0; previous < 256; previous++) {
  for (let byte = 0; byte < 256; byte++) {
    WEIGHTS[(previous << 8) | byte] = weightOf(previous, byte);
  }
}
