/** How many pixels wide and high: as declared, as asked, or as a resolution's name usually means. */
import type { MediaModel } from '../config/config.ts';
import type { Asked } from './asked.ts';

type Pixels = [width: number, height: number];

const SIZE = /^([0-9]{1,5})x([0-9]{1,5})$/;
const LINES = /^([0-9]{3,4})p$/i;
const THOUSANDS = /^([1-9])k$/i;
const RATIO = /^([0-9.]{1,5}):([0-9.]{1,5})$/;

/** Null where nothing says so. */
export function pixelsOf({ type, params }: MediaModel, asked: Asked): Pixels | null {
  const { size, resolution, aspect_ratio: ratio } = asked;
  const declared =
    params.pixels[size ?? ''] ??
    params.pixels[`${resolution ?? ''} ${ratio ?? ''}`.trim()] ??
    params.pixels[resolution ?? ''];
  if (declared) return declared;
  const [, width, height] = SIZE.exec(size ?? '') ?? [];
  if (width !== undefined) return [Number(width), Number(height)];
  return named(type, resolution ?? size ?? '', ratio);
}

/** "720p" is the shorter side of a video; "2K" of an image is the side of a square of as many pixels. */
function named(type: string, name: string, ratio = '16:9'): Pixels | null {
  const thousands = Number(THOUSANDS.exec(name)?.[1] ?? 0);
  if (type !== 'video') return thousands ? [thousands * 1_024, thousands * 1_024] : null;
  const lines = thousands === 2 ? 1_440 : thousands * 540 || Number(LINES.exec(name)?.[1] ?? 0);
  const [, a = '16', b = '9'] = RATIO.exec(ratio) ?? [];
  const share = Math.max(Number(a) / Number(b), Number(b) / Number(a));
  if (!lines || !Number.isFinite(share)) return null;
  const long = even(lines * share);
  return Number(a) < Number(b) ? [lines, long] : [long, lines];
}

function even(length: number): number {
  return 2 * Math.ceil(length / 2 - 1e-9);
}
