/** `params` of media models: what may be asked for. What the price rules name and params does not is taken from the rules. */
import type { Range, Rule, Scalar } from '../pricing/rules.ts';
import type { InputMode, MediaDefaults, MediaParams, MediaType } from './config.ts';
import type { Faults, Path } from './fault.ts';
import type { RawDefaults, RawParams } from './raw.ts';

const USUAL_MAX_RUNTIME_MS = 30 * 60_000;
const MAX_IMAGES = 10;
const MAX_INPUT_IMAGES = 10;
/** OpenAI's bound for speech; elsewhere text is not what is sold. */
const MAX_SPOKEN = 4_096;
const MAX_TEXT = 1_000_000;
/** Four hours of speech, and a minute of a clip that is worked on. */
const MAX_HEARD_SECONDS = 14_400;
const MAX_SEEN_SECONDS = 60;
/** Twice what is known of OpenAI's models. */
const TOKENS_PER_SECOND = { input: 25, output: 15 };
const IMAGES = new Set<MediaType>(['image', 'image_edit']);
const EDITS = new Set<MediaType>(['image_edit', 'upscale', 'background_remove']);
/** A range's end that its rules exclude, as near as quantities count. */
const NEAR = 0.000_001;
const UNIT_MS: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

export function readParams(
  raw: RawParams,
  type: MediaType,
  rules: readonly Rule[],
  path: Path,
  faults: Faults,
): MediaParams {
  const texts = (name: TextList, circumstance: string) =>
    raw[name]?.filter((item) => item !== undefined) ?? named(rules, circumstance).map(String);
  const params: MediaParams = {
    sizes: texts('sizes', 'size'),
    resolutions: texts('resolutions', 'resolution'),
    qualities: texts('qualities', 'quality'),
    aspectRatios: texts('aspect_ratios', 'aspect_ratio'),
    factors: texts('factors', 'factor'),
    ...readLengths(raw, rules, path, faults),
    fps: present([raw.fps ?? numbers(named(rules, 'fps'))].flat()),
    audio: raw.audio ?? (mentions(rules, 'audio') ? true : null),
    maxN: raw.max_n ?? (IMAGES.has(type) ? MAX_IMAGES : 1),
    inputModes: present(raw.input_modes ?? modesOf(type, rules)),
    maxInputImages: raw.max_input_images ?? MAX_INPUT_IMAGES,
    maxInputSeconds:
      raw.max_input_seconds ?? (type === 'stt' ? MAX_HEARD_SECONDS : MAX_SEEN_SECONDS),
    maxCharacters: raw.max_characters ?? (type === 'tts' ? MAX_SPOKEN : MAX_TEXT),
    voices: present(raw.voices ?? []),
    formats: present(raw.formats ?? []),
    styles: present(raw.styles ?? []),
    pixels: readPixels(raw.pixels ?? {}),
    outputTokens: readOutputTokens(raw.output_tokens),
    tokensPerSecond: { ...TOKENS_PER_SECOND, ...raw.tokens_per_second },
    defaults: readDefaults(raw.defaults ?? {}),
    typicalRuntimeMs: raw.typical_runtime === undefined ? null : millis(raw.typical_runtime),
    maxRuntimeMs: raw.max_runtime === undefined ? USUAL_MAX_RUNTIME_MS : millis(raw.max_runtime),
  };
  checkDefaults(params, [...path, 'defaults'], faults);
  return params;
}

type TextList = 'sizes' | 'resolutions' | 'qualities' | 'aspect_ratios' | 'factors';

function present<T>(list: readonly (T | undefined)[]): T[] {
  return list.filter((item) => item !== undefined);
}

function numbers(values: readonly Scalar[]): number[] {
  return values.filter((value) => typeof value === 'number');
}

function mentions(rules: readonly Rule[], circumstance: string): boolean {
  return rules.some(({ when }) => when?.[circumstance] !== undefined);
}

/** The values that rules ask for, each once, in their order. */
function named(rules: readonly Rule[], circumstance: string): Scalar[] {
  const values = rules.flatMap(({ when }) => {
    const wanted = when?.[circumstance];
    if (wanted === undefined || isRange(wanted)) return [];
    return wanted as Scalar | readonly Scalar[];
  });
  return [...new Set(values)];
}

function isRange(wanted: unknown): wanted is Range {
  return typeof wanted === 'object' && !Array.isArray(wanted);
}

function readLengths(
  raw: RawParams,
  rules: readonly Rule[],
  path: Path,
  faults: Faults,
): Pick<MediaParams, 'durations' | 'duration'> {
  const durations = present(raw.durations ?? []).map(seconds);
  if (raw.duration) {
    const { min = 1, max = min } = raw.duration;
    const range = { min: seconds(min), max: seconds(max) };
    if (durations.length)
      faults.add([...path, 'duration'], 'must be left out beside durations: one of the two');
    if (range.max < range.min) faults.add([...path, 'duration', 'max'], 'must be at least min');
    return { durations: [], duration: range };
  }
  if (durations.length) return { durations, duration: null };
  const ranges = rules.flatMap(({ when }) => {
    const wanted = when?.['duration'];
    return isRange(wanted) ? [wanted] : [];
  });
  if (!ranges.length) return { durations: numbers(named(rules, 'duration')), duration: null };
  const most = ranges.map(({ lte, lt }) => lte ?? (lt === undefined ? Infinity : lt - NEAR));
  const least = ranges.map(({ gte, gt }) => gte ?? (gt === undefined ? 1 : gt + NEAR));
  const max = Math.max(...most);
  if (max === Infinity) {
    const right = 'must say the longest, as { min, max }: the price depends on it';
    faults.add([...path, 'duration'], right);
  }
  return { durations: [], duration: { min: Math.min(...least), max } };
}

function seconds(value: number | string): number {
  return typeof value === 'number' ? value : Number(value.replace(/s$/, ''));
}

/** Images beside text, but where the rules say more or leave one without a price; of other media whatever the rules name. */
function modesOf(type: MediaType, rules: readonly Rule[]): InputMode[] {
  if (EDITS.has(type)) return ['image'];
  const said = named(rules, 'input_mode') as InputMode[];
  const isHeard = type !== 'stt' && rules.some(({ unit }) => unit === 'input_second');
  if (isHeard) said.push(type === 'video' ? 'video' : 'audio');
  if (!said.length) return type === 'video' ? ['text', 'image'] : [];
  const usual: InputMode[] = type === 'video' || type === 'image' ? ['text', 'image'] : ['text'];
  const isPriced = (mode: InputMode) =>
    rules.some(({ when }) => {
      const wanted = when?.['input_mode'];
      return wanted === undefined || [wanted].flat().includes(mode);
    });
  return [...new Set([...usual, ...said])].filter(isPriced);
}

function readPixels(raw: NonNullable<RawParams['pixels']>): MediaParams['pixels'] {
  const whole = Object.entries(raw).flatMap(([name, pixels]) => {
    const [width, height] = pixels ?? [];
    return width && height ? [[name, [width, height]] as const] : [];
  });
  return Object.fromEntries(whole.map(([name, [width, height]]) => [name, [width, height]]));
}

function readOutputTokens(raw: RawParams['output_tokens']): Record<string, number> {
  if (raw === undefined) return {};
  return typeof raw === 'number' ? { '': raw } : { ...raw };
}

function readDefaults({ aspect_ratio: aspectRatio, duration, ...others }: RawDefaults) {
  const defaults: MediaDefaults = {
    ...others,
    ...(aspectRatio !== undefined && { aspectRatio }),
    ...(duration !== undefined && { duration: seconds(duration) }),
  };
  return defaults;
}

function checkDefaults(params: MediaParams, path: Path, faults: Faults): void {
  const { defaults } = params;
  const lists: [name: string, usual: unknown, offered: readonly unknown[]][] = [
    ['size', defaults.size, params.sizes],
    ['resolution', defaults.resolution, params.resolutions],
    ['quality', defaults.quality, params.qualities],
    ['aspect_ratio', defaults.aspectRatio, params.aspectRatios],
    ['factor', defaults.factor, params.factors],
    ['duration', defaults.duration, params.durations],
    ['fps', defaults.fps, params.fps],
    ['voice', defaults.voice, params.voices],
    ['format', defaults.format, params.formats],
  ];
  for (const [name, usual, offered] of lists) {
    if (usual === undefined || !offered.length || offered.includes(usual)) continue;
    faults.add([...path, name], `must be one of ${offered.join(', ')}`);
  }
  const { duration: range } = params;
  const length = defaults.duration;
  if (range && length !== undefined && (length < range.min || length > range.max))
    faults.add([...path, 'duration'], `must be from ${range.min} to ${range.max}`);
  if ((defaults.n ?? 1) > params.maxN) faults.add([...path, 'n'], 'must be at most max_n');
}

function millis(span: string | number): number {
  if (typeof span === 'number') return span;
  const [, count = '0', unit = 'ms'] = /^(\d+)([a-z]+)$/.exec(span) ?? [];
  return Number(count) * (UNIT_MS[unit] ?? 1);
}
