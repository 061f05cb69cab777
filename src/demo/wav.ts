/** A melody as WAV (RIFF, 8 bit mono): the tune is told by the seed. */

const RATE = 11_025;
const HEAD_BYTES = 44;
const NOTE_SECONDS = 0.25;
/** A pentatonic scale sounds well in any order. */
const SCALE = [0, 2, 4, 7, 9, 12];
const MIDDLE_A = 220;

export function melody(seconds: number, seed: number): Buffer {
  const count = Math.max(1, Math.round(seconds * RATE));
  const file = Buffer.alloc(HEAD_BYTES + count + (count % 2), 0x80);
  file.write('RIFF', 0, 'latin1');
  file.writeUInt32LE(file.length - 8, 4);
  file.write('WAVEfmt ', 8, 'latin1');
  file.writeUInt32LE(16, 16);
  file.writeUInt16LE(1, 20);
  file.writeUInt16LE(1, 22);
  file.writeUInt32LE(RATE, 24);
  file.writeUInt32LE(RATE, 28);
  file.writeUInt16LE(1, 32);
  file.writeUInt16LE(8, 34);
  file.write('data', 36, 'latin1');
  file.writeUInt32LE(count, 40);
  let state = (seed >>> 0) % 2_147_483_647 || 1;
  const perNote = Math.round(NOTE_SECONDS * RATE);
  let frequency = MIDDLE_A;
  for (let n = 0; n < count; n += 1) {
    const within = n % perNote;
    if (within === 0) {
      state = (state * 48_271) % 2_147_483_647;
      frequency = MIDDLE_A * 2 ** (SCALE[state % SCALE.length]! / 12);
    }
    // Struck and dying away, so that notes do not click into one another.
    const loudness = 96 * Math.exp((-3 * within) / perNote);
    file[HEAD_BYTES + n] =
      0x80 + Math.round(loudness * Math.sin((2 * Math.PI * frequency * within) / RATE));
  }
  return file;
}
