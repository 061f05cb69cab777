/** A short video that shows its prompt, with a mark that moves: H.264 in MP4, playable everywhere, without sound. */
import { fillRect, MARK, newCanvas, writeText } from './canvas.ts';
import { MACROBLOCK, parameterSets, picture, repeated } from './h264.ts';
import { mp4 } from './mp4.ts';

const FRAMES_PER_SECOND = 12;
/** Raw pictures are large; the others repeat them. */
const MOST_PICTURES = 16;
const MOST_SECONDS = 60;
const SIDE = 144;
const LONGEST = 336;
const SCALE = 2;

export interface ClipOptions {
  prompt: string;
  seconds: number;
  /** "16:9" */
  aspectRatio: string | undefined;
  seed: number;
}

export function clip({ prompt, seconds, aspectRatio, seed }: ClipOptions): Buffer {
  const { width, height } = sidesOf(aspectRatio);
  const frames = Math.max(1, Math.round(Math.min(seconds, MOST_SECONDS) * FRAMES_PER_SECOND));
  const every = Math.max(FRAMES_PER_SECOND / 2, Math.ceil(frames / MOST_PICTURES));
  const units: Buffer[] = [];
  const keys: number[] = [];
  for (let frame = 0; frame < frames; frame += 1) {
    const since = frame % every;
    if (since > 0) {
      units.push(repeated(width, height, since));
      continue;
    }
    const canvas = newCanvas(width, height, seed);
    writeText(canvas, prompt, SCALE);
    const mark = { y: height - MACROBLOCK, width: MACROBLOCK, height: MACROBLOCK / 2 };
    const x = Math.round(((width - MACROBLOCK) * frame) / Math.max(1, frames - every));
    fillRect(canvas, { x, ...mark }, MARK);
    units.push(picture(canvas, frame / every));
    keys.push(frame + 1);
  }
  const sets = parameterSets(width, height);
  return mp4({ width, height, framesPerSecond: FRAMES_PER_SECOND, ...sets, units, keys });
}

/** About the shape that was asked for, small, in whole macroblocks. */
function sidesOf(aspectRatio = '16:9'): { width: number; height: number } {
  const match = /^([1-9]\d{0,2}):([1-9]\d{0,2})$/.exec(aspectRatio);
  const ratio = match ? Number(match[1]) / Number(match[2]) : 16 / 9;
  const whole = (side: number) =>
    Math.round(Math.min(LONGEST, Math.max(SIDE, side)) / MACROBLOCK) * MACROBLOCK;
  return ratio >= 1
    ? { width: whole(SIDE * ratio), height: SIDE }
    : { width: SIDE, height: whole(SIDE / ratio) };
}
