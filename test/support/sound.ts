/** Recordings of silence, made by hand: as many frames as asked for, in containers that other readers take. */

/** 16-bit, mono. */
export function wav(seconds: number, rate = 8_000): Buffer {
  const samples = Buffer.alloc(Math.round(seconds * rate) * 2);
  const head = Buffer.alloc(44);
  head.write('RIFF', 0);
  head.writeUInt32LE(36 + samples.length, 4);
  head.write('WAVEfmt ', 8);
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(1, 20);
  head.writeUInt16LE(1, 22);
  head.writeUInt32LE(rate, 24);
  head.writeUInt32LE(rate * 2, 28);
  head.writeUInt16LE(2, 32);
  head.writeUInt16LE(16, 34);
  head.write('data', 36);
  head.writeUInt32LE(samples.length, 40);
  return Buffer.concat([head, samples]);
}

/** MPEG 1 layer 3 at 44,100 Hz and 128 kbit/s: 1,152 samples a frame. */
export function mp3(frames: number): Buffer {
  const frame = Buffer.alloc(417);
  frame.set([0xff, 0xfb, 0x90, 0x00]);
  return Buffer.concat(Array.from({ length: frames }, () => frame));
}

/** AAC at 44,100 Hz: 1,024 samples a frame. */
export function adts(frames: number, bytes = 200): Buffer {
  const frame = Buffer.alloc(bytes);
  frame.set([
    0xff,
    0xf1,
    0x50,
    0x80 | (bytes >> 11),
    (bytes >> 3) & 0xff,
    ((bytes & 7) << 5) | 0x1f,
  ]);
  frame[6] = 0xfc;
  return Buffer.concat(Array.from({ length: frames }, () => frame));
}

/** A page of whole packets. */
function page(
  serial: number,
  number: number,
  granule: number,
  packets: Buffer[],
  flags = 0,
): Buffer {
  const lacing = packets.flatMap(({ length }) => [
    ...Array.from({ length: Math.floor(length / 255) }, () => 255),
    length % 255,
  ]);
  const head = Buffer.alloc(27);
  head.write('OggS');
  head[5] = flags;
  head.writeBigUInt64LE(BigInt(granule), 6);
  head.writeUInt32LE(serial, 14);
  head.writeUInt32LE(number, 18);
  head[26] = lacing.length;
  return Buffer.concat([head, Buffer.from(lacing), ...packets]);
}

function opusHead(): Buffer {
  const head = Buffer.alloc(19);
  head.write('OpusHead');
  head.set([1, 1], 8);
  head.writeUInt32LE(48_000, 12);
  return head;
}

/** One frame of 20 ms. */
const OPUS_PACKET = Buffer.from([0x08, 1, 2, 3, 4, 5, 6, 7, 8, 9]);

/** `said`: what the last page claims, in seconds. */
export function oggOpus(packets: number, said = packets * 0.02, packet = OPUS_PACKET): Buffer {
  const tags = Buffer.concat([Buffer.from('OpusTags'), Buffer.alloc(8)]);
  const pages = [page(7, 0, 0, [opusHead()], 2), page(7, 1, 0, [tags])];
  for (let left = packets; left > 0; left -= 100) {
    const some = Array.from({ length: Math.min(left, 100) }, () => packet);
    const isLast = left <= 100;
    const granule = isLast ? Math.round(said * 48_000) : 0;
    pages.push(page(7, pages.length, granule, some, isLast ? 4 : 0));
  }
  return Buffer.concat(pages);
}

/** At 44,100 Hz with a long window of 2,048 samples. */
export function oggVorbis(packets: number): Buffer {
  const head = Buffer.alloc(30);
  head.write('\x01vorbis', 0, 'latin1');
  head[11] = 1;
  head.writeUInt32LE(44_100, 12);
  head[28] = 0xb8;
  head[29] = 1;
  const other = Buffer.concat([Buffer.from('\x03vorbis', 'latin1'), Buffer.alloc(8)]);
  const packet = Buffer.alloc(40);
  const body = Array.from({ length: packets }, () => packet);
  const pages = [page(9, 0, 0, [head], 2), page(9, 1, 0, [other, other])];
  while (body.length) {
    const granule = packets * 1_024;
    pages.push(page(9, pages.length, granule, body.splice(0, 200), body.length ? 0 : 4));
  }
  return Buffer.concat(pages);
}

function element(id: string, body: Buffer | number | string, isUnknown = false): Buffer {
  const data =
    typeof body === 'number'
      ? Buffer.from([body])
      : typeof body === 'string'
        ? Buffer.from(body)
        : body;
  const size = Buffer.alloc(8);
  size.writeBigUInt64BE(2n ** 56n + BigInt(data.length));
  const unknown = Buffer.from('01ffffffffffffff', 'hex');
  return Buffer.concat([Buffer.from(id, 'hex'), isUnknown ? unknown : size, data]);
}

/** As browsers record it: clusters whose length nobody knows, and no duration. `said`: one all the same, in milliseconds. */
export function webmOpus(packets: number, said: number | null = null): Buffer {
  const rate = Buffer.alloc(8);
  rate.writeDoubleBE(48_000);
  const track = element(
    'ae',
    Buffer.concat([
      element('d7', 1),
      element('83', 2),
      element('86', 'A_OPUS'),
      element('63a2', opusHead()),
      element('e1', Buffer.concat([element('b5', rate), element('9f', 1)])),
    ]),
  );
  const duration = Buffer.alloc(8);
  duration.writeDoubleBE(said ?? 0);
  const info = Buffer.concat([
    element('2ad7b1', Buffer.from([0x0f, 0x42, 0x40])),
    ...(said === null ? [] : [element('4489', duration)]),
  ]);
  const blocks = Array.from({ length: packets }, (_, n) => {
    const head = Buffer.from([0x81, 0, 0, 0x80]);
    head.writeUInt16BE((n % 1_000) * 20, 1);
    return element('a3', Buffer.concat([head, OPUS_PACKET]));
  });
  const cluster = element('1f43b675', Buffer.concat([element('e7', 0), ...blocks]), true);
  return Buffer.concat([
    element('1a45dfa3', element('4282', 'webm')),
    element(
      '18538067',
      Buffer.concat([element('1549a966', info), element('1654ae6b', track), cluster]),
      true,
    ),
  ]);
}

function box(type: string, ...parts: (Buffer | number[])[]): Buffer {
  const body = Buffer.concat(parts.map((part) => Buffer.from(part)));
  const head = Buffer.alloc(8);
  head.writeUInt32BE(8 + body.length);
  head.write(type, 4);
  return Buffer.concat([head, body]);
}

function numbers(...values: number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length);
  for (const [n, value] of values.entries()) bytes.writeUInt32BE(value, 4 * n);
  return bytes;
}

/** AAC at 44,100 Hz. `said`: what its headers claim, in seconds; `fragments`: frames that come in fragments. */
export function m4a(frames: number, said = (frames * 1_024) / 44_100, fragments = 0): Buffer {
  const ticks = Math.round(said * 44_100);
  const config = [
    0x03,
    25,
    0,
    1,
    0,
    0x04,
    17,
    0x40,
    0x15,
    ...Array<number>(11).fill(0),
    0x05,
    2,
    0x12,
    0x10,
  ];
  const esds = box('esds', numbers(0), config);
  const entry = Buffer.alloc(28);
  entry.writeUInt16BE(1, 6);
  entry.writeUInt16BE(2, 16);
  entry.writeUInt16BE(16, 18);
  entry.writeUInt32BE(44_100 * 65_536, 24);
  const stbl = box(
    'stbl',
    box('stsd', numbers(0, 1), box('mp4a', entry, esds)),
    box('stts', numbers(0, 1, frames, 1_024)),
    box('stsz', numbers(0, 10, frames)),
    box('stsc', numbers(0, 1, 1, frames, 1)),
    box('stco', numbers(0, 1, 0)),
  );
  const hdlr = box('hdlr', numbers(0, 0), Buffer.from('soun'), numbers(0, 0, 0), [0]);
  const mdia = box(
    'mdia',
    box('mdhd', numbers(0, 0, 0, 44_100, ticks, 0)),
    hdlr,
    box('minf', stbl),
  );
  const tkhd = box('tkhd', numbers(0, 0, 0, 1, 0, ticks), Buffer.alloc(60));
  const mvhd = box('mvhd', numbers(0, 0, 0, 44_100, ticks), Buffer.alloc(80));
  const moov = box('moov', mvhd, box('trak', tkhd, mdia));
  const moof = box(
    'moof',
    box('mfhd', numbers(0, 1)),
    box('traf', box('tfhd', numbers(0, 1)), box('trun', numbers(0, fragments))),
  );
  const media = box('mdat', Buffer.alloc(10 * frames));
  return Buffer.concat([
    box('ftyp', Buffer.from('M4A '), numbers(0), Buffer.from('M4A mp42')),
    moov,
    ...(fragments ? [moof] : []),
    media,
  ]);
}

/** At 44,100 Hz in blocks of 4,096 samples. `said`: what it claims, in samples. */
export function flac(blocks: number, said = blocks * 4_096): Buffer {
  const info = Buffer.alloc(34);
  info.writeUInt16BE(4_096, 0);
  info.writeUInt16BE(4_096, 2);
  info.writeUIntBE((44_100 << 4) | 0, 10, 3);
  info[13] = 0xf0;
  info.writeUInt32BE(said, 14);
  const frames = Array.from({ length: blocks }, (_, n) => {
    const head = Buffer.from([0xff, 0xf8, 0xc9, 0x08, n % 128, 0]);
    head[5] = crc8(head.subarray(0, 5));
    return Buffer.concat([head, Buffer.from([0, 0, 0, 0, 0])]);
  });
  const rest = Buffer.alloc(32);
  return Buffer.concat([Buffer.from('fLaC'), Buffer.from([0x80, 0, 0, 34]), info, ...frames, rest]);
}

/** Polynomial 7, bit by bit. */
function crc8(bytes: Buffer): number {
  let crc = 0;
  for (const byte of bytes) {
    for (let bit = 7; bit >= 0; bit -= 1) {
      const isSet = ((crc >> 7) ^ (byte >> bit)) & 1;
      crc = ((crc << 1) & 0xff) ^ (isSet ? 0x07 : 0);
    }
  }
  return crc;
}
