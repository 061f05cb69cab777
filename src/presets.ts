/** Presets: something made out of a few fields, by a template of the operator's over one of the models for sale. */
import type { PresetConfig, PresetInput } from './config/config.ts';
import { AppError } from './errors.ts';

type Fields = Readonly<Record<string, unknown>>;
type Value = string | number;

/** Of the request itself, beside what the preset asks for. */
const OWN = ['max_credits', 'quote_id', 'callback_url', 'response_format'];
/** A place in a text, or a text that is nothing else. */
const PLACE = /\{([a-z][a-z0-9_]*)\}/g;
const WHOLE = /^\{([a-z][a-z0-9_]*)\}$/;

export class Presets {
  #presets: ReadonlyMap<string, PresetConfig> = new Map();

  constructor(presets: readonly PresetConfig[]) {
    this.replace(presets);
  }

  replace(presets: readonly PresetConfig[]): void {
    this.#presets = new Map(presets.map((preset) => [preset.name, preset]));
  }

  all(): PresetConfig[] {
    return [...this.#presets.values()];
  }

  /** Errors: not_found. */
  find(name: string): PresetConfig {
    const preset = this.#presets.get(name);
    if (preset) return preset;
    const known = [...this.#presets.keys()].join(', ') || 'none';
    throw new AppError('not_found', `There is no such preset here. There are: ${known}.`);
  }
}

/** The request that the preset makes of these fields. Errors: invalid_request, naming the field. */
export function filled(preset: PresetConfig, given: Fields): Record<string, unknown> {
  const { inputs } = preset;
  for (const name of Object.keys(given)) {
    if (Object.hasOwn(inputs, name) || OWN.includes(name)) continue;
    throw wrong(name, `is not asked for by this preset: it takes ${namesOf(inputs)}`);
  }
  const values = new Map<string, Value>();
  for (const [name, input] of Object.entries(inputs)) {
    const value = valueOf(name, input, given[name]);
    if (value !== null) values.set(name, value);
  }
  return { ...filledIn(preset, values), ...own(given) };
}

/** As far as it goes, for a price: what is missing or wrong is left out. */
export function filledSoFar(preset: PresetConfig, given: Fields): Record<string, unknown> {
  const values = new Map<string, Value>();
  for (const [name, input] of Object.entries(preset.inputs)) {
    try {
      const value = valueOf(name, input, given[name]);
      if (value !== null) values.set(name, value);
    } catch {
      // What it costs does not wait for that.
      if (input.type === 'image') values.set(name, 'data:,');
    }
  }
  return { ...filledIn(preset, values), ...own(given) };
}

function filledIn(preset: PresetConfig, values: Map<string, Value>): Record<string, unknown> {
  return { ...(fill(preset.fields, values) as object), model: preset.model };
}

function own(given: Fields): Record<string, unknown> {
  return Object.fromEntries(OWN.flatMap((name) => (name in given ? [[name, given[name]]] : [])));
}

function valueOf(name: string, input: PresetInput, given: unknown): Value | null {
  const value = given ?? input.usual;
  if (value === null || value === undefined) {
    if (input.isRequired) throw wrong(name, 'is missing');
    return null;
  }
  const rule = ruleOf(input, value);
  if (rule !== null) throw wrong(name, `must be ${rule}`);
  return value as Value;
}

/** What a value must be, where it is not; null where it is. */
function ruleOf(input: PresetInput, value: unknown): string | null {
  switch (input.type) {
    case 'text': {
      const isFit = typeof value === 'string' && value !== '' && value.length <= input.maxLength;
      return isFit ? null : `text of up to ${input.maxLength} characters`;
    }
    case 'image':
      return typeof value === 'string' && value !== '' ? null : 'an image: a link, or its data';
    case 'number': {
      const { min, max } = input;
      const isFit = typeof value === 'number' && value >= min && value <= max;
      return isFit ? null : `a number from ${min} to ${max}`;
    }
    case 'choice': {
      const isFit = input.values.some((each) => each === value);
      return isFit ? null : `one of ${input.values.join(', ')}`;
    }
  }
}

/** A place alone keeps its value's kind, and leaves its field out without one; in a text it is written in. */
function fill(template: unknown, values: Map<string, Value>): unknown {
  if (typeof template === 'string') {
    const [, only] = WHOLE.exec(template) ?? [];
    if (only !== undefined) return values.get(only);
    const text = template.replaceAll(PLACE, (_, name: string) => String(values.get(name) ?? ''));
    return text.replaceAll(/ {2,}/g, ' ').trim();
  }
  if (Array.isArray(template)) {
    return template.map((item) => fill(item, values)).filter((item) => item !== undefined);
  }
  if (typeof template !== 'object' || template === null) return template;
  const members = Object.entries(template).map(([name, item]) => [name, fill(item, values)]);
  return Object.fromEntries(members.filter(([, item]) => item !== undefined));
}

/** The names of the places of a template. */
export function placesOf(template: unknown): string[] {
  if (typeof template === 'string') {
    return Array.from(template.matchAll(PLACE), ([, name = '']) => name);
  }
  if (typeof template !== 'object' || template === null) return [];
  return Object.values(template).flatMap(placesOf);
}

function namesOf(inputs: PresetConfig['inputs']): string {
  return [...Object.keys(inputs), ...OWN].join(', ');
}

function wrong(field: string, rule: string): AppError {
  return new AppError('invalid_request', `The field "${field}" ${rule}.`, { details: { field } });
}
