/** FLAC: frames are found by their checked headers (RFC 9639 9.1), for the total that the file begins with may be wrong. */

const BLOCK_SIZES = [
  0, 192, 576, 1152, 2304, 4608, -1, -2, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768,
];
const RATES = [
  0, 88_200, 176_400, 192_000, 8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000,
];
const INFO_AT = 8;
const INFO_BYTES = 34;
const LONGEST_HEADER = 16;
/** What may be a header; a file with more of them is not read to its end. */
const MAX_CANDIDATES = 2_000_000;
/** What looks like a header now and then without being one. */
const TOLERANCE = 1.02;

/** Null for no FLAC. */
export function flacSeconds(bytes: Buffer): number | null {
  if (bytes.toString('latin1', 0, 4) !== 'fLaC' || bytes.length < INFO_AT + INFO_BYTES) return null;
  const rate = bytes.readUIntBE(INFO_AT + 10, 3) >> 4;
  if (rate === 0) return null;
  const said = (bytes[INFO_AT + 13]! & 15) * 2 ** 32 + bytes.readUInt32BE(INFO_AT + 14);
  let found = 0;
  let seconds = 0;
  let isOneRate = true;
  let at = INFO_AT + INFO_BYTES;
  let candidates = 0;
  while (at < bytes.length) {
    if (bytes[at] === 0xff && (candidates += 1) > MAX_CANDIDATES) return null;
    const block = bytes[at] === 0xff ? blockAt(bytes, at) : null;
    if (block) {
      found += block.samples;
      // Readers go by what the frame says.
      seconds += block.samples / (block.rate ?? rate);
      isOneRate &&= block.rate === null || block.rate === rate;
    }
    at += block?.headerBytes ?? 1;
  }
  if (found === 0) return null;
  const isTrue = isOneRate && found <= said * TOLERANCE && said <= found * TOLERANCE;
  return isTrue ? said / rate : seconds;
}

interface Block {
  samples: number;
  /** In Hz; null where it is the file's. */
  rate: number | null;
  headerBytes: number;
}

function blockAt(bytes: Buffer, at: number): Block | null {
  if (at + LONGEST_HEADER > bytes.length || (bytes[at + 1]! & 0xfe) !== 0xf8) return null;
  const sizes = bytes[at + 2]!;
  const isReserved = sizes >> 4 === 0 || (sizes & 15) === 15 || (bytes[at + 3]! & 1) === 1;
  if (isReserved) return null;
  const numberBytes = codedBytes(bytes[at + 4]!);
  if (numberBytes === 0) return null;
  let end = at + 4 + numberBytes;
  let samples = BLOCK_SIZES[sizes >> 4]!;
  if (samples === -1) samples = bytes[end++]! + 1;
  else if (samples === -2) {
    samples = bytes.readUInt16BE(end) + 1;
    end += 2;
  }
  const rateBits = sizes & 15;
  const rateAt = end;
  if (rateBits === 12) end += 1;
  else if (rateBits > 12) end += 2;
  if (end >= bytes.length || crc8(bytes, at, end) !== bytes[end]) return null;
  return { samples, rate: rateOf(bytes, rateAt, rateBits), headerBytes: end + 1 - at };
}

/** Null for the file's own, and for none at all. */
function rateOf(bytes: Buffer, at: number, bits: number): number | null {
  if (bits < 12) return RATES[bits] || null;
  if (bits === 12) return bytes[at]! * 1_000 || null;
  return bytes.readUInt16BE(at) * (bits === 13 ? 1 : 10) || null;
}

/** Of a number coded like UTF-8; 0 for what is none. */
function codedBytes(first: number): number {
  if (first < 0x80) return 1;
  if (first < 0xc0 || first === 0xff) return 0;
  return Math.clz32(~(first << 24));
}

const CRC = Uint8Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit += 1) crc = crc & 0x80 ? ((crc << 1) ^ 0x07) & 0xff : crc << 1;
  return crc;
});

function crc8(bytes: Buffer, from: number, to: number): number {
  let crc = 0;
  for (let at = from; at < to; at += 1) crc = CRC[crc ^ bytes[at]!]!;
  return crc;
}
