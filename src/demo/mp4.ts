/** Writes MP4 (ISO/IEC 14496-12) with one H.264 track. */

export interface Track {
  width: number;
  height: number;
  framesPerSecond: number;
  sps: Buffer;
  pps: Buffer;
  /** One a frame, without start codes. */
  units: Buffer[];
  /** Numbers, from 1, of the frames that stand for themselves. */
  keys: number[];
}

const MATRIX = [0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000];
const UNDETERMINED = 0x55c4;

export function mp4(track: Track): Buffer {
  const samples = track.units.map((unit) => Buffer.concat([u32(unit.length), unit]));
  const media = box('mdat', ...samples);
  const type = box('ftyp', latin('isom'), u32(0x200), latin('isomiso2avc1mp41'));
  // The movie stands first, so that players can begin at once; its offsets need its own length.
  const sized = movie(track, samples, 0);
  return Buffer.concat([type, movie(track, samples, type.length + sized.length + 8), media]);
}

function movie(track: Track, samples: Buffer[], offset: number): Buffer {
  const { framesPerSecond: rate, width, height, units } = track;
  const length = units.length;
  const header = full(
    'mvhd',
    0,
    u32(0, 0, rate, length, 0x10000),
    u16(0x100, 0),
    u32(0, 0),
    u32(...MATRIX),
    u32(0, 0, 0, 0, 0, 0, 2),
  );
  const trackHeader = full(
    'tkhd',
    3,
    u32(0, 0, 1, 0, length, 0, 0),
    u16(0, 0, 0, 0),
    u32(...MATRIX),
    u32(width * 0x10000, height * 0x10000),
  );
  const mediaHeader = full('mdhd', 0, u32(0, 0, rate, length), u16(UNDETERMINED, 0));
  const handler = full('hdlr', 0, u32(0), latin('vide'), u32(0, 0, 0), latin('\0'));
  const data = box('dinf', full('dref', 0, u32(1), full('url ', 1)));
  const table = box(
    'stbl',
    full('stsd', 0, u32(1), sampleEntry(track)),
    full('stts', 0, u32(1, length, 1)),
    full('stss', 0, u32(track.keys.length, ...track.keys)),
    full('stsc', 0, u32(1, 1, length, 1)),
    full('stsz', 0, u32(0, length, ...samples.map((sample) => sample.length))),
    full('stco', 0, u32(1, offset)),
  );
  const information = box('minf', full('vmhd', 1, u16(0, 0, 0, 0)), data, table);
  const media = box('mdia', mediaHeader, handler, information);
  return box('moov', header, box('trak', trackHeader, media));
}

function sampleEntry({ width, height, sps, pps }: Track): Buffer {
  const record = Buffer.concat([
    // Version, then profile, compatibility and level as in the set; four-byte lengths; one set of each.
    Buffer.from([1, sps[1]!, sps[2]!, sps[3]!, 0xff, 0xe1]),
    u16(sps.length),
    sps,
    Buffer.from([1]),
    u16(pps.length),
    pps,
  ]);
  return box(
    'avc1',
    u16(0, 0, 0, 1, 0, 0),
    u32(0, 0, 0),
    u16(width, height),
    u32(0x480000, 0x480000, 0),
    u16(1),
    Buffer.alloc(32),
    u16(0x18, 0xffff),
    box('avcC', record),
  );
}

function box(type: string, ...parts: Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([u32(body.length + 8), latin(type), body]);
}

/** With version 0 and flags. */
function full(type: string, flags: number, ...parts: Buffer[]): Buffer {
  return box(type, u32(flags), ...parts);
}

function u32(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  for (const [n, value] of values.entries()) bytes.writeUInt32BE(value, n * 4);
  return bytes;
}

function u16(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 2);
  for (const [n, value] of values.entries()) bytes.writeUInt16BE(value, n * 2);
  return bytes;
}

function latin(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}
