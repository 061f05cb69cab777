/** What paid routes take, as far as Farebox reads it; what else the model's upstream knows goes on untouched. */
import { z } from 'zod';

const whole = z.int().min(1);
const model = z.string().min(1).max(256).describe('One of GET /v1/models');
const text = z.string().min(1);
/** Goes to the upstream as it is: what is wrong with it is said there. */
const passed = (about: string) => z.unknown().optional().describe(about);

/** On every paid body. */
const own = {
  max_credits: z
    .union([z.number().min(0), z.string().regex(/^\d+(\.\d+)?$/)])
    .nullish()
    .describe('Refused before anything is sent when the request could cost more'),
  quote_id: z.string().nullish().describe('Of POST /v1/credits/estimate: binds its price'),
};
const callback = {
  callback_url: z.url().nullish().describe('Told of the end by a signed webhook'),
};

export const chatBody = z.looseObject({
  ...own,
  model,
  messages: z.array(
    z.looseObject({ role: passed('Such as `user`'), content: passed('Text, or parts') }),
  ),
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().nullish() }).nullish(),
  max_tokens: whole.nullish(),
  max_completion_tokens: whole.nullish(),
  n: whole.max(16).nullish(),
  tools: z.array(z.looseObject({})).nullish(),
});

export const responsesBody = z.looseObject({
  ...own,
  model,
  input: z.union([z.string(), z.array(z.looseObject({}))]),
  instructions: z.string().nullish(),
  stream: z.boolean().nullish(),
  max_output_tokens: whole.nullish(),
  tools: z.array(z.looseObject({})).nullish(),
});

export const messagesBody = z.looseObject({
  ...own,
  model,
  max_tokens: whole,
  messages: z.array(z.looseObject({ role: z.enum(['user', 'assistant', 'system']) })),
  system: z.union([z.string(), z.array(z.looseObject({}))]).optional(),
  stream: z.boolean().nullish(),
  tools: z.array(z.looseObject({})).nullish(),
});

export const embeddingsBody = z.looseObject({
  ...own,
  model,
  input: z.union([z.string(), z.array(z.union([z.string(), z.int(), z.array(z.int())]))]),
  dimensions: passed('A whole number'),
  encoding_format: passed('`float` or `base64`'),
});

export const speechBody = z.looseObject({
  ...own,
  model: model.nullish(),
  input: text,
  voice: z.string().nullish(),
  response_format: passed('Such as `mp3`'),
  speed: passed('A number'),
});

const file = z.string().meta({ format: 'binary', description: 'A file' });

export const transcriptionForm = z.looseObject({
  ...own,
  file: file.describe('The recording'),
  model: model.optional(),
  language: z.string().optional(),
  prompt: z.string().optional(),
  response_format: z.string().optional(),
});

export const linkBody = z.strictObject({
  ...own,
  url: z.url({ protocol: /^https?$/ }).max(2_048),
  response_format: z.enum(['json', 'text']).optional(),
  model: model.nullish(),
});

const count = z.union([z.int().min(1), z.string().regex(/^[1-9]\d*$/)]).nullish();
const seconds = z
  .union([z.number().gt(0), z.string()])
  .nullish()
  .describe('Seconds, such as 6 or "6s"; what the model offers is in GET /v1/models');
const picture = passed('Links, base64 or data URLs, one or a list; in a form, files');
const prompt = passed('What to make, in words');

export const imagesBody = z.looseObject({
  ...own,
  ...callback,
  model,
  prompt,
  n: count,
  size: z.string().nullish(),
  quality: z.string().nullish(),
  aspect_ratio: z.string().nullish(),
  image: picture,
  response_format: passed('`url` or `b64_json`'),
});

export const videosBody = z.looseObject({
  ...own,
  ...callback,
  model,
  prompt,
  duration: seconds,
  resolution: z.string().nullish(),
  aspect_ratio: z.string().nullish(),
  image: picture,
});

export const musicBody = z.looseObject({
  ...own,
  ...callback,
  model,
  prompt,
  duration: seconds,
});

/** The inputs that GET /api/v1/fashion/{preset} lists. */
export const presetBody = z.looseObject({ ...own, ...callback });
