/** What Venice's queues take: the audio queue nothing else, the video queue more than it knows. */
import { z } from 'zod';
import { checked } from '../operation.ts';

type Fields = Record<string, unknown>;

const said = z.unknown().optional();
const own = { max_credits: said, quote_id: said, callback_url: said };
const model = z.string('must be the name of a model, such as those of GET /api/v1/models').min(1);
const links = (most: number) => z.array(z.string()).max(most).optional();

/** Durations, resolutions and ratios are the model's own, and refused by what it offers. */
export const queueVideoBody = z.looseObject({
  ...own,
  model,
  prompt: z.string().min(1).max(20_000).optional(),
  negative_prompt: z.string().max(20_000).optional(),
  duration: z.union([z.string(), z.number()]).optional(),
  aspect_ratio: z.string().optional(),
  resolution: z.string().optional(),
  upscale_factor: z.union([z.literal(1), z.literal(2), z.literal(4)]).optional(),
  audio: z.boolean().optional(),
  image_url: z.string().optional(),
  end_image_url: z.string().optional(),
  audio_url: z.string().optional(),
  video_url: z.string().optional(),
  reference_image_urls: links(30),
  reference_video_urls: links(10),
  reference_audio_urls: links(10),
  reference_document_urls: links(1),
  elements: z.array(z.looseObject({})).max(4).optional(),
  scene_image_urls: links(4),
  keyframes: z
    .array(z.looseObject({ image_url: z.string(), frame_index: z.number() }))
    .max(10)
    .optional(),
  consents: z.looseObject({}).optional(),
});

export const queueAudioBody = z.strictObject({
  ...own,
  model,
  prompt: z.string('must be the text that says what to make').min(1),
  lyrics_prompt: z.string().optional(),
  duration_seconds: z
    .union([z.int().min(1), z.string().regex(/^\d+$/)], 'must be a whole number of seconds')
    .optional(),
  force_instrumental: z.boolean().optional(),
  lyrics_optimizer: z.boolean().optional(),
  loop: z.boolean().optional(),
  voice: z.string().optional(),
  language_code: z.string().optional(),
  speed: z.number().min(0.25).max(4).optional(),
});

/** Errors: invalid_request with Venice's tree of details. */
export function requireQueueBody(schema: z.ZodType): (fields: Fields) => void {
  return (fields) => {
    checked(schema, fields, 'body');
  };
}
