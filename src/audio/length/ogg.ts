/** Ogg with Opus or Vorbis inside: pages of packets (RFC 3533). */
import { opusSeconds } from './opus.ts';

const PAGE_HEAD = 27;
/** A flag of its head: it begins with the rest of a packet. */
const CONTINUED = 1;
/** A stream of more is not read to its end. */
const MAX_PACKETS = 2_000_000;

interface Stream {
  codec: 'opus' | 'vorbis';
  /** The most that one packet of Vorbis is. */
  packetSeconds: number;
  packets: number;
  seconds: number;
  /** Where the packet that is being read began; null between packets. */
  begunAt: number | null;
}

/** Counts what the packets hold, whatever their pages say of the time. Null for no Ogg, and for other codecs. */
export function oggSeconds(bytes: Buffer): number | null {
  if (bytes.toString('latin1', 0, 4) !== 'OggS') return null;
  let seconds = 0;
  let isAny = false;
  const streams = new Map<number, Stream>();
  let at = 0;
  while (at + PAGE_HEAD <= bytes.length) {
    if (bytes.toString('latin1', at, at + 4) !== 'OggS') {
      at = bytes.indexOf('OggS', at + 1, 'latin1');
      if (at < 0) break;
      continue;
    }
    const isFirst = (bytes[at + 5]! & 2) !== 0;
    const serial = bytes.readUInt32LE(at + 14);
    const segments = bytes[at + 26]!;
    const bodyAt = at + PAGE_HEAD + segments;
    if (isFirst) {
      // Files may be joined end to end.
      seconds += streams.get(serial)?.seconds ?? 0;
      const stream = streamOf(bytes, bodyAt);
      if (!stream) return null;
      streams.set(serial, stream);
      isAny = true;
    }
    const stream = streams.get(serial);
    if (stream) {
      // What an earlier page began and this one does not go on with is lost to readers.
      if ((bytes[at + 5]! & CONTINUED) === 0) stream.begunAt = null;
      readPage(bytes, stream, at + PAGE_HEAD, segments);
      if (stream.packets > MAX_PACKETS) return null;
    }
    // Not behind the page: one that is damaged is no page to readers, and those that it would hide are.
    at = bodyAt;
  }
  for (const stream of streams.values()) seconds += stream.seconds;
  return isAny ? seconds : null;
}

function readPage(bytes: Buffer, stream: Stream, tableAt: number, segments: number): void {
  let at = tableAt + segments;
  for (let n = 0; n < segments && tableAt + n < bytes.length; n += 1) {
    const lacing = bytes[tableAt + n]!;
    stream.begunAt ??= at;
    at += lacing;
    if (lacing === 255) continue;
    stream.packets += 1;
    if (stream.codec === 'opus') {
      // Two packets of headers.
      if (stream.packets > 2) stream.seconds += opusSeconds(bytes, stream.begunAt, at);
    } else if (stream.packets > 3) stream.seconds += stream.packetSeconds;
    stream.begunAt = null;
  }
}

function streamOf(bytes: Buffer, at: number): Stream | null {
  const begin = { packets: 0, seconds: 0, begunAt: null };
  if (bytes.toString('latin1', at, at + 8) === 'OpusHead') {
    return { codec: 'opus', packetSeconds: 0, ...begin };
  }
  if (bytes.toString('latin1', at + 1, at + 7) !== 'vorbis' || at + 29 > bytes.length) return null;
  const packetSeconds = vorbisPacketSeconds(bytes, at);
  return packetSeconds === null ? null : { codec: 'vorbis', packetSeconds, ...begin };
}

/** Vorbis I 4.2.2: half of a long window, which is what a packet adds at most. `at`: of its identification header. */
export function vorbisPacketSeconds(bytes: Buffer, at: number): number | null {
  const rate = bytes.readUInt32LE(at + 12);
  const longWindow = 2 ** (bytes[at + 28]! >> 4);
  return rate > 0 ? longWindow / 2 / rate : null;
}
