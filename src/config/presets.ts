/** `fashion`: presets, each a template over one of the models for sale. */
import { fileURLToPath } from 'node:url';
import { placesOf } from '../presets.ts';
import type { ModelConfig, PresetConfig, PresetInput } from './config.ts';
import { type Faults, nearest, type Path } from './fault.ts';
import { parseFile, readText } from './file.ts';
import type { RawModel, RawPreset, RawPresetInput } from './raw.ts';

const SHIPPED = fileURLToPath(new URL('../../config/fashion.yaml', import.meta.url));
/** A preset decides these, or its caller; no template does. */
const OWN_FIELDS = ['model', 'max_credits', 'quote_id', 'callback_url', 'response_format'];
/** Of models that tasks are made over. */
const TYPES: readonly string[] = [
  'image',
  'image_edit',
  'upscale',
  'background_remove',
  'music',
  'sound',
  'video',
];
const MAX_TEXT = 4_000;
const MOST = 1_000_000_000;

/** Those that ship, as far as their models are sold; in the settings file's own form. */
export function shippedPresets(models: unknown, faults: Faults): unknown[] {
  const file = { path: SHIPPED, text: readText(SHIPPED), isFixed: true };
  const { fashion = [] } = parseFile(file, faults) as { fashion?: RawPreset[] };
  const list: unknown[] = Array.isArray(models) ? models : [];
  const sold = new Set(list.map((model) => (model as Partial<RawModel> | null)?.id));
  return fashion.filter(({ model }) => [model].flat().some((id) => sold.has(id)));
}

export function readPresets(
  raw: readonly (RawPreset | undefined)[],
  models: readonly ModelConfig[],
  faults: Faults,
): PresetConfig[] {
  const seen = new Set<string>();
  return raw.flatMap((preset, n) => {
    if (preset?.name === undefined) return [];
    const path = ['fashion', n];
    if (seen.has(preset.name))
      faults.add([...path, 'name'], 'must be the only preset of this name');
    seen.add(preset.name);
    return [readPreset(preset, preset.name, { path, models, faults })];
  });
}

interface Place {
  path: Path;
  models: readonly ModelConfig[];
  faults: Faults;
}

function readPreset(raw: RawPreset, name: string, place: Place): PresetConfig {
  const { path, faults } = place;
  const inputs = Object.entries(raw.inputs).flatMap(([input, about]) =>
    about ? [[input, readInput(about, [...path, 'inputs', input], faults)] as const] : [],
  );
  for (const field of OWN_FIELDS) {
    if (field in raw.fields) faults.add([...path, 'fields', field], 'must be left out');
  }
  const places = placesOf(raw.fields);
  const names = inputs.map(([input]) => input);
  const unknown = places.find((each) => !names.includes(each));
  if (unknown !== undefined) {
    const known = `there are: ${names.join(', ') || 'none'}`;
    faults.add([...path, 'fields'], `must name inputs: {${unknown}} is none; ${known}`);
  }
  for (const [input] of inputs) {
    if (!places.includes(input))
      faults.add([...path, 'inputs', input], `must be used in fields, as {${input}}`);
  }
  return {
    name,
    description: raw.description ?? null,
    model: readModel(raw, place),
    inputs: Object.fromEntries(inputs),
    fields: raw.fields,
  };
}

/** The first of them that is sold. */
function readModel({ model }: RawPreset, { path, models, faults }: Place): string {
  const wanted = [model].flat().filter((id) => id !== undefined);
  const named = (id: string) =>
    models.find((each) => each.id === id) ?? models.find(({ aliases }) => aliases.includes(id));
  const found = wanted.flatMap((id) => named(id) ?? [])[0];
  const at = [...path, 'model'];
  if (!found) {
    const ids = models.map(({ id }) => id);
    const meant = nearest(wanted[0] ?? '', ids);
    const hint = meant === null ? 'such as those of models' : `did you mean ${meant}?`;
    faults.add(at, `must be the id of a model, or a list of them of which one is sold; ${hint}`);
  } else if (!TYPES.includes(found.type)) {
    faults.add(
      at,
      `must be a model of images, video, music or sound; ${found.id} is ${found.type}`,
    );
  }
  return found?.id ?? '';
}

function readInput(raw: RawPresetInput, path: Path, faults: Faults): PresetInput {
  const values = raw.values.filter((value) => value !== undefined);
  if (raw.type === 'choice' && values.length === 0)
    faults.add([...path, 'values'], 'must list what can be chosen');
  const usual = raw.default ?? null;
  const isKnown = raw.type !== 'choice' || usual === null || values.includes(usual);
  if (!isKnown) faults.add([...path, 'default'], 'must be one of values');
  return {
    type: raw.type,
    description: raw.description ?? null,
    isRequired: raw.required,
    usual,
    values,
    min: raw.min ?? 0,
    max: raw.max ?? MOST,
    maxLength: raw.max_length ?? MAX_TEXT,
  };
}
