/**
 * Writes H.264 (ITU-T H.264, baseline profile) without an encoder: pictures are raw samples (I_PCM macroblocks, 7.3.5), and in between
 * stand pictures that repeat the one before (P slices of skipped macroblocks).
 */
import type { Canvas, Rgb } from './canvas.ts';

export const MACROBLOCK = 16;
const FRAME_NUM_BITS = 4;
const I_PCM = 25;

/** Sequence and picture parameter sets, without start codes. Width and height in pixels, multiples of 16. */
export function parameterSets(width: number, height: number): { sps: Buffer; pps: Buffer } {
  const sps = new BitWriter([0x67, 66, 0xc0, 31]);
  sps.ue(0);
  sps.ue(FRAME_NUM_BITS - 4);
  // Pictures are shown in the order in which they stand.
  sps.ue(2);
  sps.ue(1);
  sps.bits(0, 1);
  sps.ue(width / MACROBLOCK - 1);
  sps.ue(height / MACROBLOCK - 1);
  // Frames only, direct inference, no cropping, no VUI.
  sps.bits(0b1100, 4);
  const pps = new BitWriter([0x68]);
  pps.ue(0);
  pps.ue(0);
  pps.bits(0, 2);
  pps.ue(0);
  pps.ue(0);
  pps.ue(0);
  pps.bits(0, 3);
  pps.se(0);
  pps.se(0);
  pps.se(0);
  // The deblocking filter can be turned off.
  pps.bits(0b100, 3);
  return { sps: sps.unit(), pps: pps.unit() };
}

/** A picture of its own. `index` tells it from the one before. */
export function picture(canvas: Canvas, index: number): Buffer {
  const slice = new BitWriter([0x65], canvas.width * canvas.height * 2);
  slice.ue(0);
  slice.ue(7);
  slice.ue(0);
  slice.bits(0, FRAME_NUM_BITS);
  slice.ue(index % 2);
  slice.bits(0, 2);
  slice.se(0);
  slice.ue(1);
  const planes = planesOf(canvas);
  for (let y = 0; y < canvas.height; y += MACROBLOCK) {
    for (let x = 0; x < canvas.width; x += MACROBLOCK) {
      slice.ue(I_PCM);
      slice.align();
      slice.block(planes.luma, canvas.width, { x, y, size: MACROBLOCK });
      const half = { x: x / 2, y: y / 2, size: MACROBLOCK / 2 };
      slice.block(planes.blue, canvas.width / 2, half);
      slice.block(planes.red, canvas.width / 2, half);
    }
  }
  return slice.unit();
}

/** The picture before once more; `since` counts from the last one of its own. */
export function repeated(width: number, height: number, since: number): Buffer {
  const slice = new BitWriter([0x41]);
  slice.ue(0);
  slice.ue(5);
  slice.ue(0);
  slice.bits(since % 2 ** FRAME_NUM_BITS, FRAME_NUM_BITS);
  slice.bits(0, 3);
  slice.se(0);
  slice.ue(1);
  slice.ue((width / MACROBLOCK) * (height / MACROBLOCK));
  return slice.unit();
}

/** Bits, most significant first, with the Exp-Golomb codes of 9.1. */
class BitWriter {
  #bytes: Uint8Array;
  #length: number;
  #current = 0;
  #count = 0;

  /** `room`: of the bytes that will come, about. */
  constructor(head: number[], room = 64) {
    this.#bytes = new Uint8Array(head.length + room);
    this.#bytes.set(head);
    this.#length = head.length;
  }

  bits(value: number, count: number): void {
    for (let n = count - 1; n >= 0; n -= 1) {
      this.#current = (this.#current << 1) | ((value >> n) & 1);
      this.#count += 1;
      if (this.#count === 8) this.#flush();
    }
  }

  ue(value: number): void {
    const length = 32 - Math.clz32(value + 1);
    this.bits(0, length - 1);
    this.bits(value + 1, length);
  }

  se(value: number): void {
    this.ue(value > 0 ? 2 * value - 1 : -2 * value);
  }

  align(): void {
    if (this.#count > 0) this.bits(0, 8 - this.#count);
  }

  block(plane: Uint8Array, stride: number, at: { x: number; y: number; size: number }): void {
    for (let y = at.y; y < at.y + at.size; y += 1) {
      const from = y * stride + at.x;
      this.#push(plane.subarray(from, from + at.size));
    }
  }

  /** Ends the unit, and keeps start codes out of it (7.4.1). */
  unit(): Buffer {
    this.bits(1, 1);
    this.align();
    const bytes = this.#bytes.subarray(0, this.#length);
    const out = Buffer.alloc(Math.ceil(bytes.length * 1.5));
    let length = 0;
    let zeros = 0;
    for (const byte of bytes) {
      if (zeros >= 2 && byte <= 3) {
        out[length++] = 3;
        zeros = 0;
      }
      out[length++] = byte;
      zeros = byte === 0 ? zeros + 1 : 0;
    }
    return out.subarray(0, length);
  }

  #flush(): void {
    this.#push([this.#current]);
    this.#current = 0;
    this.#count = 0;
  }

  #push(bytes: ArrayLike<number>): void {
    const end = this.#length + bytes.length;
    if (end > this.#bytes.length) {
      const larger = new Uint8Array(end * 2);
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    this.#bytes.set(bytes, this.#length);
    this.#length = end;
  }
}

/** 4:2:0, limited range (ITU-R BT.601). */
function planesOf({ width, height, pixels, palette }: Canvas) {
  const colours = palette.map(yuv);
  const luma = new Uint8Array(width * height);
  for (let n = 0; n < luma.length; n += 1) luma[n] = colours[pixels[n]!]![0];
  const blue = new Uint8Array(luma.length / 4);
  const red = new Uint8Array(luma.length / 4);
  for (let y = 0; y < height; y += 2) {
    for (let x = 0; x < width; x += 2) {
      const colour = colours[pixels[y * width + x]!]!;
      const at = (y / 2) * (width / 2) + x / 2;
      blue[at] = colour[1];
      red[at] = colour[2];
    }
  }
  return { luma, blue, red };
}

function yuv([r, g, b]: Rgb): [number, number, number] {
  return [
    Math.round(16 + (65.738 * r + 129.057 * g + 25.064 * b) / 256),
    Math.round(128 + (-37.945 * r - 74.494 * g + 112.439 * b) / 256),
    Math.round(128 + (112.439 * r - 94.154 * g - 18.285 * b) / 256),
  ];
}
