import { expect, it } from 'vitest';
import { lengthOf } from '../../src/audio/length/length.ts';
import { flac, m4a, mp3, oggOpus, wav, webmOpus } from '../support/sound.ts';

/** What decoders play of these is at least this long, whatever the file makes of it. */
function expectAtLeast(file: Buffer, seconds: number): void {
  const { mostSeconds, isCounted } = lengthOf(file);
  if (isCounted) expect(mostSeconds).toBeGreaterThan(seconds * 0.99);
  else expect(mostSeconds).toBe(file.length / 500);
}

it('counts frames behind what is no tag to decoders', () => {
  const file = mp3(10_000);
  const hidden = 9_900 * 417;
  const size = [21, 14, 7, 0].map((shift) => (hidden >> shift) & 0x7f);
  const { seconds } = lengthOf(file);
  const tagged = (...head: number[]) =>
    Buffer.concat([Buffer.from('ID3'), Buffer.from(head), file]);
  expectAtLeast(tagged(0xff, 0, 0, ...size), seconds);
  expectAtLeast(tagged(3, 0xff, 0, ...size), seconds);
  expectAtLeast(tagged(3, 0, 0, 0x80 | size[0]!, ...size.slice(1)), seconds);
  expect(lengthOf(tagged(3, 0, 0, ...size)).seconds).toBeLessThan(seconds / 50);
});

it('takes the slowest of several formats of samples, and no more bytes for a sample than it can have', () => {
  const file = wav(60);
  const fast = Buffer.from(file.subarray(12, 36));
  fast.writeUInt32LE(192_000, 12);
  expectAtLeast(Buffer.concat([file.subarray(0, 36), fast, file.subarray(36)]), 60);
  expectAtLeast(Buffer.concat([file.subarray(0, 12), fast, file.subarray(12)]), 60);
  const law = Buffer.from(file);
  law.writeUInt16LE(6, 20);
  law.writeUInt16LE(8_000, 34);
  expectAtLeast(law, 120);
});

it('counts pages that another one claims to hold', () => {
  const file = oggOpus(3_000);
  const claim = Buffer.alloc(27 + 255, 255);
  claim.write('OggS');
  claim.fill(0, 4, 26);
  claim.writeUInt32LE(7, 14);
  let page = 0;
  for (let n = 0; n < 5; n += 1) page = file.indexOf('OggS', page + 4);
  const hiding = Buffer.concat([file.subarray(0, page), claim, file.subarray(page)]);
  expect(lengthOf(hiding).isCounted).toBe(true);
  expectAtLeast(hiding, 60);
});

it('goes by the rate that a frame itself says', () => {
  const file = flac(646);
  file.writeUIntBE((655_350 << 4) | 0, 8 + 10, 3);
  expectAtLeast(file, 60);
  expect(lengthOf(flac(646)).seconds).toBeCloseTo(60, 0);
});

function box(type: string, body: Buffer, size = 8 + body.length): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32BE(size);
  head.write(type, 4);
  return Buffer.concat([head, body]);
}

/** With something put in before a box, and those that hold it made longer. */
function withBefore(file: Buffer, name: string, inner: Buffer, parents: string[]): Buffer {
  const at = file.indexOf(name) - 4;
  const whole = Buffer.concat([file.subarray(0, at), inner, file.subarray(at)]);
  for (const parent of parents) {
    const place = whole.indexOf(parent) - 4;
    whole.writeUInt32BE(whole.readUInt32BE(place) + inner.length, place);
  }
  return whole;
}

it('reads on behind a box that reaches out of the one that holds it', () => {
  const file = m4a(2_584);
  const trak = m4a(1);
  const from = trak.indexOf('trak') - 4;
  const small = Buffer.from(trak.subarray(from, from + trak.readUInt32BE(from)));
  const spoilt = Buffer.concat([small, box('free', Buffer.alloc(0), 0x7fff_ffff)]);
  spoilt.writeUInt32BE(spoilt.length);
  expectAtLeast(withBefore(file, 'trak', spoilt, ['moov']), 60);
  const none = Buffer.concat([small, box('free', Buffer.alloc(0), 3)]);
  none.writeUInt32BE(none.length);
  expectAtLeast(withBefore(file, 'trak', none, ['moov']), 60);
});

it('counts a track as often as its edits may play it', () => {
  const entries = Buffer.alloc(8 + 12 * 101);
  entries.writeUInt32BE(101, 4);
  entries.writeInt32BE(-1, 8 + 4);
  const edits = box('edts', box('elst', entries));
  expectAtLeast(withBefore(m4a(2_584), 'mdia', edits, ['moov', 'trak']), 6_000);
  const once = Buffer.alloc(8 + 12);
  once.writeUInt32BE(1, 4);
  const usual = withBefore(m4a(2_584), 'mdia', box('edts', box('elst', once)), ['moov', 'trak']);
  expect(lengthOf(usual).seconds).toBeCloseTo(60, 1);
});

it('goes by the slowest of all settings of a decoder', () => {
  const file = m4a(2_584);
  const at = file.indexOf('esds') - 4;
  const fast = Buffer.from(file.subarray(at, at + file.readUInt32BE(at)));
  // 96,000 Hz.
  fast.writeUInt8(0x10, fast.length - 2);
  const parents = ['moov', 'trak', 'mdia', 'minf', 'stbl', 'stsd', 'mp4a'];
  expectAtLeast(withBefore(file, 'esds', box('free', fast), parents), 60);
});

it('does not count a film in which something reaches out of its cluster', () => {
  const file = webmOpus(3_000);
  const first = file.indexOf(Buffer.from([0xa3]), file.indexOf(Buffer.from('1f43b675', 'hex')));
  // A hundred blocks of 23 bytes further on.
  const block = first + 2_300;
  const long = Buffer.from('ec017fffffffffff', 'hex');
  expect(lengthOf(file).isCounted).toBe(true);
  const spoilt = Buffer.concat([file.subarray(0, block), long, file.subarray(block)]);
  expect(lengthOf(spoilt).isCounted).toBe(false);
});
