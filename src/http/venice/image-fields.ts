/** Venice's image requests in the words that tasks are asked for in, with the model that is meant. */
import type { Catalogue } from '../../catalogue.ts';
import type { MediaModel } from '../../config/config.ts';
import type { Routing } from '../../routing/routing.ts';
import type { TaskType } from '../../tasks/task.ts';
import type { Fields } from './image-bodies.ts';

export interface Adapting {
  catalogue: Catalogue;
  /** Where its channels lead. */
  routing: Pick<Routing, 'channels'>;
}

/** Hints of Venice's own, which other servers would stumble over. */
const HINTS = [
  'safe_mode',
  'hide_watermark',
  'embed_exif_metadata',
  'lora_strength',
  'enhance_prompt',
  'enable_web_search',
  'disable_prompt_optimization_thinking',
  'inpaint',
];
const DEFAULT_TRAIT = 'default';

export function generateFields(fields: Fields, adapting: Adapting): Fields {
  const { return_binary: _binary, ...rest } = fields;
  return forChannels(rest, adapting);
}

/** A model that is not there, or not an image model, means the usual one. Quality is no word of Venice's here, but one of models priced by it. */
export function generationsFields(fields: Fields, adapting: Adapting): Fields {
  const { style: _style, user: _user, response_format: _format, ...rest } = fields;
  const { size, quality } = fields;
  return forChannels(
    {
      ...said(rest),
      model: known(fields['model'], ['image'], adapting.catalogue),
      size: size === 'auto' || size === null ? undefined : size,
      quality: quality === 'hd' ? 'high' : isUsual(quality) ? undefined : quality,
    },
    adapting,
  );
}

export function upscaleFields({ scale = 2, ...rest }: Fields, adapting: Adapting): Fields {
  const { enhance: _enhance, enhanceCreativity: _creativity, replication: _rep, ...others } = rest;
  const model = usual(rest['model'], ['upscale'], adapting.catalogue);
  return forChannels({ ...others, model, scale: Number(scale) }, adapting);
}

export function editFields(
  { modelId, images, image, ...rest }: Fields,
  adapting: Adapting,
): Fields {
  const model = usual(rest['model'] ?? modelId, ['image_edit', 'image'], adapting.catalogue);
  const given =
    images === undefined ? { image } : { images: Array.isArray(images) ? images : [images] };
  const { aspect_ratio: ratio } = rest;
  return forChannels(
    { ...booleans(rest), ...given, model, aspect_ratio: ratio === 'auto' ? undefined : ratio },
    adapting,
  );
}

export function backgroundFields(fields: Fields, { catalogue }: Adapting): Fields {
  return { ...fields, model: usual(fields['model'], ['background_remove'], catalogue) };
}

/** Of the models that are for sale, the usual one of these types, the first type first; the first model where none is called so. */
function usual(model: unknown, types: readonly TaskType[], catalogue: Catalogue): unknown {
  if (model !== undefined) return model;
  const models = catalogue.models();
  const fit = types.flatMap((type) => models.filter((each) => each.type === type));
  return (fit.find(({ traits }) => traits.includes(DEFAULT_TRAIT)) ?? fit[0])?.id;
}

function known(model: unknown, types: readonly TaskType[], catalogue: Catalogue): unknown {
  const isKnown =
    typeof model === 'string' && types.some((type) => modelOf(model, catalogue)?.type === type);
  return isKnown ? model : usual(undefined, types, catalogue);
}

function modelOf(model: unknown, catalogue: Catalogue): MediaModel | null {
  try {
    return typeof model === 'string' ? catalogue.mediaEntry(model).model : null;
  } catch {
    // Said where it is asked for.
    return null;
  }
}

/** Venice's servers take Venice's words; others get none of its hints, and the name that most of them have for a format. */
function forChannels(fields: Fields, { catalogue, routing }: Adapting): Fields {
  const { format, ...rest } = said(fields);
  const model = modelOf(fields['model'], catalogue);
  const ids = model?.routes.map(({ channel }) => channel) ?? [];
  const isVenice = routing
    .channels()
    .some(({ id, provider }) => provider === 'venice' && ids.includes(id));
  if (isVenice) return format === undefined ? rest : { ...rest, format };
  const others = Object.entries(rest).filter(([name]) => !HINTS.includes(name));
  return { ...Object.fromEntries(others), ...(format !== undefined && { output_format: format }) };
}

function said(fields: Fields): Fields {
  const entries = Object.entries(fields);
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined && value !== null));
}

function isUsual(quality: unknown): boolean {
  return quality === 'auto' || quality === 'standard';
}

/** Forms know text alone. */
function booleans(fields: Fields): Fields {
  const entries = Object.entries(fields).map(([name, value]): [string, unknown] => [
    name,
    value === 'true' ? true : value === 'false' ? false : value,
  ]);
  return Object.fromEntries(entries);
}
