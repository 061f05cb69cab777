/** A real file of what the sandbox is asked for: the same for the same words. */
import { newCanvas, writeText } from './canvas.ts';
import { clip } from './clip.ts';
import { png } from './png.ts';
import { melody } from './wav.ts';

export interface DemoAsked {
  type: string;
  prompt: string;
  n: number;
  width: number;
  height: number;
  aspectRatio: string;
  /** Of an upscale, "2x". */
  factor: string;
  /** Of what lasts; null for the rest. */
  seconds: number | null;
}

const MAX_RESULTS = 10;
const MAX_SIDE = 2_048;
const USUAL_SIDE = 1_024;
const USUAL_SECONDS = 5;
const MAX_SECONDS = 600;
/** Letters are so many parts of a picture's width, about. */
const LETTERS_A_LINE = 86;
const LASTING = ['video', 'music', 'sound'];

export function readAsked(fields: Record<string, unknown>): DemoAsked {
  const text = (name: string, usual = '') => {
    const value = fields[name];
    return typeof value === 'string' ? value : usual;
  };
  const number = (name: string, usual: number) => {
    const value = fields[name];
    return typeof value === 'number' && value > 0 ? value : usual;
  };
  const type = text('type', 'image');
  const sides = /^([0-9]{1,5})x([0-9]{1,5})$/.exec(text('size'));
  const side = (given: string | undefined) =>
    Math.min(MAX_SIDE, Math.max(16, Number(given ?? USUAL_SIDE)));
  return {
    type,
    prompt: text('prompt'),
    n: Math.min(MAX_RESULTS, Math.ceil(number('n', 1))),
    width: side(sides?.[1]),
    height: side(sides?.[2]),
    aspectRatio: text('aspect_ratio', '16:9'),
    factor: text('factor', '2x'),
    seconds: LASTING.includes(type)
      ? Math.min(MAX_SECONDS, number('duration', USUAL_SECONDS))
      : null,
  };
}

export function demoFile(asked: DemoAsked, place = 0): { bytes: Buffer; contentType: string } {
  const { type, prompt, width, height, aspectRatio } = asked;
  const seed = seedOf(`${prompt} ${place}`);
  const seconds = asked.seconds ?? USUAL_SECONDS;
  const label = labelOf(asked, place);
  switch (type) {
    case 'video':
      return {
        bytes: clip({ prompt: label, seconds, aspectRatio, seed }),
        contentType: 'video/mp4',
      };
    case 'music':
    case 'sound':
      return { bytes: melody(seconds, seed), contentType: 'audio/wav' };
    default: {
      const canvas = newCanvas(width, height, seed);
      writeText(canvas, label, Math.max(1, Math.floor(width / LETTERS_A_LINE)));
      return { bytes: png(canvas, type === 'background_remove'), contentType: 'image/png' };
    }
  }
}

function labelOf({ type, prompt, n, factor }: DemoAsked, place: number): string {
  const done: Record<string, string> = {
    image_edit: 'Edited: ',
    upscale: `Upscaled ${factor} `,
    background_remove: 'Cut out ',
  };
  return `${done[type] ?? ''}${prompt}${n > 1 ? ` (${place + 1})` : ''}`;
}

function seedOf(text: string): number {
  let seed = 7;
  for (const letter of text) seed = (seed * 31 + letter.codePointAt(0)!) % 1_000_003;
  return seed;
}
