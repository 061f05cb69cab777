/** What Venice's image routes take: as strict as its document, plus what is for Farebox itself. Forms send numbers and booleans as text. */
import { z } from 'zod';
import { AppError } from '../../errors.ts';
import { checked } from '../operation.ts';

export type Fields = Record<string, unknown>;

const said = z.unknown().optional();
const own = { max_credits: said, quote_id: said, callback_url: said };
const flag = z.union([z.boolean(), z.enum(['true', 'false'])], 'must be true or false').optional();
const model = z.string().min(1).optional();
const image = z.string('must be an image: a file, base64 or a link').min(1);
const prompt = (most: number) =>
  z.string('must be the text that says what to make').min(1).max(most);
const format = z.enum(['jpeg', 'jpg', 'png', 'webp']).optional();
const quality = z.enum(['low', 'medium', 'high']).optional();
const side = z.int().min(1).max(1_280).optional();

export const generateBody = z.strictObject({
  ...own,
  model: z
    .string('must be the name of an image model, such as those of GET /api/v1/models?type=image')
    .min(1),
  prompt: prompt(7_500),
  negative_prompt: z.string().max(7_500).optional(),
  width: side,
  height: side,
  aspect_ratio: z.string().optional(),
  resolution: z.string().optional(),
  quality,
  steps: z.number().optional(),
  cfg_scale: z.number().gt(0).max(20).optional(),
  seed: z.int().min(-999_999_999).max(999_999_999).optional(),
  variants: z.int().min(1).max(4).optional(),
  format,
  return_binary: z.boolean().optional(),
  safe_mode: z.boolean().optional(),
  hide_watermark: z.boolean().optional(),
  style_preset: z.string().optional(),
  lora_strength: z.int().min(0).max(100).optional(),
  embed_exif_metadata: z.boolean().optional(),
  enable_web_search: z.boolean().optional(),
  enhance_prompt: z.boolean().optional(),
  disable_prompt_optimization_thinking: z.boolean().optional(),
  inpaint: z.null().optional(),
  style_references: z
    .array(z.strictObject({ image, strength: z.number().min(0.1).max(1).optional() }))
    .optional(),
});

export const generationsBody = z.strictObject({
  ...own,
  model: z.string().optional(),
  prompt: prompt(1_500),
  n: z.int().min(1).max(1).nullish(),
  size: z
    .enum([
      'auto',
      '256x256',
      '512x512',
      '1024x1024',
      '1536x1024',
      '1024x1536',
      '1792x1024',
      '1024x1792',
    ])
    .nullish(),
  quality: z.enum(['auto', 'high', 'medium', 'low', 'hd', 'standard']).nullish(),
  style: z.enum(['vivid', 'natural']).nullish(),
  background: z.enum(['transparent', 'opaque', 'auto']).nullish(),
  moderation: z.enum(['low', 'auto']).nullish(),
  output_compression: z.int().min(0).max(100).nullish(),
  output_format: z.enum(['jpeg', 'png', 'webp']).optional(),
  response_format: z.enum(['b64_json', 'url']).nullish(),
  user: z.string().optional(),
});

const scale = z.union([z.number(), z.enum(['2', '4'])], 'must be 2 or 4');

/** Older clients send more, which says nothing any more. */
export const upscaleBody = z.looseObject({
  ...own,
  model,
  image,
  scale: scale
    .refine((value) => Number(value) >= 2 && Number(value) <= 4, 'must be 2 or 4')
    .optional(),
});

const edit = {
  ...own,
  model,
  modelId: model,
  prompt: prompt(32_768),
  aspect_ratio: z.string().optional(),
  resolution: z.string().min(1).max(10).optional(),
  output_format: format,
  safe_mode: flag,
  enhance_prompt: flag,
  disable_prompt_optimization_thinking: flag,
};

export const editBody = z.strictObject({ ...edit, image });

export const multiEditBody = z.strictObject({
  ...edit,
  quality,
  images: z.union([z.array(image).min(1), image], 'must be at least one image'),
});

export const backgroundBody = z
  .strictObject({ ...own, model, image: image.optional(), image_url: z.url().optional() })
  .refine((body) => body.image !== undefined || body.image_url !== undefined, {
    error: 'must be an image: a file, base64 or, as image_url, a link',
    path: ['image'],
  });

/** Errors: invalid_request with Venice's tree of details; unsupported_parameter for what costs more than any price says. */
export function requireBody(schema: z.ZodType): (fields: Fields) => void {
  return (fields) => {
    checked(schema, fields, 'body');
    for (const name of ['enhance_prompt', 'enable_web_search']) {
      if (fields[name] === true || fields[name] === 'true') throw dearer(name);
    }
    const { variants, return_binary: isBinary } = fields;
    if (isBinary !== true || variants === undefined || variants === 1) return;
    throw new AppError('invalid_request', 'variants: must be 1 where return_binary is true.', {
      details: { variants: { _errors: ['must be 1 where return_binary is true'] } },
    });
  };
}

function dearer(field: string): AppError {
  return new AppError(
    'unsupported_parameter',
    `"${field}" is not supported here: it changes what the upstream charges, and no price is set for it.`,
    { details: { field } },
  );
}
