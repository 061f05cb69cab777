import { parseBuffer } from 'music-metadata';
import { describe, expect, it } from 'vitest';
import { lengthOf } from '../../src/audio/length/length.ts';
import { adts, flac, m4a, mp3, oggOpus, oggVorbis, wav, webmOpus } from '../support/sound.ts';

const AAC_FRAME = 1_024 / 44_100;
const MP3_FRAME = 1_152 / 44_100;
const FILES: [name: string, type: string, file: Buffer, seconds: number][] = [
  ['WAV', 'audio/wav', wav(12.5), 12.5],
  ['MP3', 'audio/mpeg', mp3(400), 400 * MP3_FRAME],
  ['AAC', 'audio/aac', adts(300), 300 * AAC_FRAME],
  ['Ogg with Opus', 'audio/ogg', oggOpus(450), 9],
  ['Ogg with Vorbis', 'audio/ogg', oggVorbis(430), (430 * 1_024) / 44_100],
  ['M4A', 'audio/mp4', m4a(500), 500 * AAC_FRAME],
  ['FLAC', 'audio/flac', flac(60), (60 * 4_096) / 44_100],
];

describe('the length of a recording', () => {
  it.each(FILES)(
    'is counted as another reader counts it: %s',
    async (_name, type, file, seconds) => {
      const length = lengthOf(file);
      expect(length.isCounted).toBe(true);
      expect(length.seconds).toBeCloseTo(seconds, 1);
      expect(length.mostSeconds).toBe(length.seconds);
      const { format } = await parseBuffer(file, type, { duration: true });
      expect(length.seconds / format.duration!).toBeCloseTo(1, 1);
    },
  );

  it('is counted where the file does not say it, as browsers record', () => {
    expect(lengthOf(webmOpus(1_000)).seconds).toBeCloseTo(20, 6);
  });

  it.each([
    ['WAV', lying(wav(60), 40, 800), 60],
    ['Ogg with Opus', oggOpus(3_000, 1), 60],
    ['WebM', webmOpus(3_000, 1_000), 60],
    ['M4A', m4a(2_584, 1), 60],
    ['M4A in fragments', m4a(0, 1, 2_584), 60],
    ['FLAC', flac(646, 44_100), 60],
    ['MP3 with something after each frame', spaced(mp3(2_297), 417), 60],
  ])('is not what the file says of itself: %s', (_name, file, seconds) => {
    const length = lengthOf(file);
    expect(length.isCounted).toBe(true);
    expect(length.seconds).toBeGreaterThan(seconds * 0.99);
    expect(length.seconds).toBeLessThan(seconds * 1.02);
  });

  it('counts the samples that stand behind the claimed ones, and other chunks for nothing', () => {
    const plain = wav(10);
    const list = Buffer.concat([
      Buffer.from('LIST'),
      Buffer.from([4, 0, 0, 0]),
      Buffer.from('INFO'),
    ]);
    expect(lengthOf(Buffer.concat([plain, list])).seconds).toBeCloseTo(10, 6);
    const hidden = Buffer.concat([lying(plain, 40, 16_000), plain.subarray(36)]);
    expect(lengthOf(hidden).seconds).toBeGreaterThan(10);
    expect(lengthOf(lying(plain, 40, 0)).seconds).toBeCloseTo(10, 6);
    expect(lengthOf(lying(plain, 40, 0xffffffff)).seconds).toBeCloseTo(10, 6);
  });

  it('is the most of the smallest packing where nobody can read the file', () => {
    for (const file of [
      Buffer.alloc(0),
      Buffer.alloc(50_000),
      Buffer.from('RIFF....WAVE'),
      Buffer.from('OggS'),
      Buffer.from('fLaC'),
      noise(50_000),
    ]) {
      const length = lengthOf(file);
      expect(length).toEqual({
        seconds: file.length / 4_000,
        mostSeconds: file.length / 500,
        isCounted: false,
      });
    }
  });

  it('is told of any bytes at all, soon', () => {
    const whole = FILES.map(([, , file]) => file);
    for (const file of [...whole, webmOpus(50)]) {
      for (let cut = 0; cut < Math.min(file.length, 2_000); cut += 13)
        lengthOf(file.subarray(0, cut));
      for (let n = 0; n < 200; n += 1) {
        const broken = Buffer.from(file);
        for (let k = 0; k < 5; k += 1)
          broken[(n * 7_919 + k * 104_729) % Math.min(400, broken.length)] =
            (n * 31 + k * 17) % 256;
        expect(lengthOf(broken).seconds).toBeGreaterThanOrEqual(0);
      }
    }
    const size = 25_000_000;
    const hard = [
      noise(size),
      filled(mp3(2), Buffer.from([0xff])),
      filled(mp3(2), mp3(1)),
      filled(adts(2), adts(1, 7)),
      filled(flac(1), Buffer.from([0xff])),
      filled(flac(1), Buffer.from('fff8c9080000', 'hex')),
      filled(webmOpus(1), Buffer.from('ec80', 'hex')),
      filled(oggOpus(1), oggOpus(255, 0, Buffer.from([0x08])).subarray(-382)),
      filled(oggOpus(1), Buffer.from('OggS')),
      filled(m4a(1), Buffer.from('000000086d6f6f76', 'hex')),
    ];
    for (const [at, file] of hard.entries()) {
      const before = process.cpuUsage().user;
      lengthOf(file);
      const tookMs = (process.cpuUsage().user - before) / 1_000;
      console.log(`hard file ${at}: ${tookMs} ms for 25 MB`);
      expect(tookMs).toBeLessThan(1_000);
    }

    function filled(begin: Buffer, pattern: Buffer): Buffer {
      return Buffer.concat([begin, Buffer.alloc(size, new Uint8Array(pattern))]);
    }
  });
});

/** With another number at one place. */
function lying(file: Buffer, at: number, value: number): Buffer {
  const copy = Buffer.from(file);
  copy.writeUInt32LE(value, at);
  return copy;
}

/** With a byte after each frame, but for the first two. */
function spaced(file: Buffer, frame: number): Buffer {
  const pieces = [file.subarray(0, 2 * frame)];
  for (let at = 2 * frame; at < file.length; at += frame)
    pieces.push(Buffer.from([0]), file.subarray(at, at + frame));
  return Buffer.concat(pieces);
}

/** The same every time. */
function noise(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  let state = 1;
  for (let n = 0; n < length; n += 1) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    bytes[n] = state >>> 24;
  }
  return bytes;
}
