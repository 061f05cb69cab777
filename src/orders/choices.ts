/** What a caller asked for, held against what the model offers, with what it left out filled in. */
import type { MediaModel, MediaParams } from '../config/config.ts';
import type { Scalar } from '../pricing/rules.ts';
import type { Asked } from './asked.ts';
import { wrongField } from './fields.ts';

export interface Chosen {
  asked: Asked;
  assumed: Record<string, Scalar>;
}

type TextName = 'resolution' | 'quality' | 'aspect_ratio' | 'factor';

/** Errors: invalid_request, naming the field and what it may be. */
export function chosenBy(model: MediaModel, asked: Asked): Chosen {
  const { params } = model;
  const { defaults } = params;
  const chosen: Chosen = { asked: { ...asked }, assumed: {} };
  const text = (name: TextName, offered: readonly string[], usual: string | undefined) =>
    choose(chosen, name, offered, usual);
  // Some servers take a resolution's name as the size.
  const { size } = asked;
  if (size !== undefined && !oneOf(params.sizes, size) && oneOf(params.resolutions, size)) {
    delete chosen.asked.size;
    chosen.asked.resolution ??= size;
  }
  choose(chosen, 'size', params.sizes, defaults.size);
  text('resolution', params.resolutions, defaults.resolution);
  text('quality', params.qualities, defaults.quality);
  text('aspect_ratio', params.aspectRatios, defaults.aspectRatio);
  text('factor', params.factors, defaults.factor);
  chooseFps(chosen, params);
  chooseDuration(chosen, params);
  chooseSound(chosen, params);
  chooseInputs(chosen, model);
  chooseCounts(chosen, model);
  return chosen;
}

function choose(
  { asked, assumed }: Chosen,
  name: TextName | 'size',
  offered: readonly string[],
  usual = offered[0],
): void {
  const said = asked[name];
  if (said === undefined) {
    if (usual !== undefined) assumed[name] = asked[name] = usual;
    return;
  }
  if (!offered.length) return;
  const found = oneOf(offered, said);
  if (found === undefined) throw wrongField(name, `must be one of ${offered.join(', ')}`);
  asked[name] = found;
}

/** In the spelling of the offer. */
function oneOf(offered: readonly string[], said: string): string | undefined {
  const wanted = said.toLowerCase();
  return offered.find((each) => each.toLowerCase() === wanted);
}

function chooseFps({ asked, assumed }: Chosen, { fps, defaults }: MediaParams): void {
  if (asked.fps === undefined) {
    const usual = defaults.fps ?? fps[0];
    if (usual !== undefined) assumed['fps'] = asked.fps = usual;
  } else if (fps.length && !fps.includes(asked.fps)) {
    throw wrongField('fps', `must be one of ${fps.join(', ')}`);
  }
}

function chooseDuration({ asked, assumed }: Chosen, params: MediaParams): void {
  const { durations, duration: range, defaults } = params;
  if (asked.duration === undefined) {
    const usual = defaults.duration ?? durations[0] ?? (range ? 'auto' : undefined);
    if (usual === undefined) return;
    asked.duration = usual;
    // The upstream decides how long it gets, up to the longest.
    assumed['duration'] = usual === 'auto' ? `up to ${range?.max}` : usual;
    return;
  }
  if (asked.duration === 'auto') return;
  const isListed = durations.includes(asked.duration);
  const isWithin = range !== null && asked.duration >= range.min && asked.duration <= range.max;
  if (isListed || isWithin || (!durations.length && !range)) return;
  const rule = range ? `from ${range.min} to ${range.max}` : `one of ${durations.join(', ')}`;
  throw wrongField('duration', `must be ${rule} seconds`);
}

function chooseSound({ asked, assumed }: Chosen, { audio, defaults }: MediaParams): void {
  if (audio === null) return;
  if (asked.audio === undefined) {
    const usual = audio === true ? (defaults.audio ?? true) : audio === 'always';
    assumed['audio'] = asked.audio = usual;
  } else if (audio === 'always' && !asked.audio) {
    throw wrongField('audio', 'must be true: this model always makes sound');
  } else if (audio === false && asked.audio) {
    throw wrongField('audio', 'must be false: this model makes no sound');
  }
}

function chooseInputs({ asked, assumed }: Chosen, { type, params }: MediaModel): void {
  const { inputModes, maxInputImages, maxInputSeconds } = params;
  if (asked.input_mode === undefined && inputModes.length) {
    assumed['input_mode'] = asked.input_mode = inputModes[0]!;
  } else if (inputModes.length && !inputModes.includes(asked.input_mode!)) {
    throw wrongField('input_mode', `must be one of ${inputModes.join(', ')}`);
  }
  const isImage = asked.input_mode === 'image';
  if (isImage && asked.input_images === undefined) assumed['input_images'] = asked.input_images = 1;
  if ((asked.input_images ?? 0) > maxInputImages) {
    throw wrongField('image', `must be at most ${maxInputImages} images`);
  }
  const isSound = type === 'stt' || asked.input_mode === 'video' || asked.input_mode === 'audio';
  if (isSound && asked.input_seconds === undefined) {
    asked.input_seconds = maxInputSeconds;
    assumed['input_seconds'] = `up to ${maxInputSeconds}`;
  }
  if ((asked.input_seconds ?? 0) > maxInputSeconds) {
    throw wrongField('file', `must be at most ${maxInputSeconds} seconds long`);
  }
}

function chooseCounts({ asked, assumed }: Chosen, { params, price }: MediaModel): void {
  const { maxN, maxCharacters, defaults } = params;
  if (asked.n === undefined) asked.n = defaults.n ?? 1;
  if (asked.n > maxN) throw wrongField('n', `must be at most ${maxN}`);
  if (asked.characters === undefined) {
    if (!price.rules.some(({ unit }) => unit === 'character')) return;
    asked.characters = maxCharacters;
    assumed['characters'] = `up to ${maxCharacters}`;
  } else if (asked.characters > maxCharacters) {
    throw wrongField('input', `must have at most ${maxCharacters} characters`);
  }
}
