/** OpenAI's images, for any server that speaks its dialect: the answer is the result itself. */
import type { Asset, Fields, MediaHttp, MediaJob, MediaProvider, Started } from '../media.ts';
import { type Asks, asksOf, pictures, shaped } from './asks.ts';
import { failure, refusal } from './failure.ts';
import { filePart, formParts } from './multipart.ts';
import { assetOf, at, base64Of, isFields, measured, readDataUrl, usdOf } from './read.ts';

export const openaiImages: MediaProvider = {
  name: 'openai',
  types: new Set(['image', 'image_edit']),
  start,
};

/** Its layer of this dialect answers with images themselves, and wants to be told so. */
const GOOGLE = /^https:\/\/generativelanguage\.googleapis\.com\//;

async function start(job: MediaJob, http: MediaHttp): Promise<Started> {
  const asks = asksOf(job);
  const isEdit = job.type === 'image_edit' || asks.pictures.length > 0;
  const body = isEdit ? editBody(job, asks) : { json: shaped(job, fieldsOf(job, asks)) };
  const to = isEdit ? '/images/edits' : '/images/generations';
  const answer = await http.request({ to, body, isSlow: true });
  return answer.status < 300 ? imagesOf(answer.json(), job, http) : refusal(answer, http);
}

function fieldsOf(job: MediaJob, { prompt, rest }: Asks): Fields {
  const { n, size, quality, resolution, aspect_ratio } = job.order.asked;
  return {
    ...rest,
    model: job.upstreamModel,
    prompt,
    n,
    size,
    quality,
    resolution,
    aspect_ratio,
    // Elsewhere links are as good, and OpenAI's own models do not know the field.
    response_format: GOOGLE.test(job.channel.baseUrl) ? 'b64_json' : undefined,
  };
}

/** Files where the inputs are here; by reference where they are links, which are the upstream's to fetch; xAI has a form of its own. */
function editBody(job: MediaJob, asks: Asks) {
  const fields = fieldsOf(job, asks);
  const urls = pictures(asks);
  const { mask } = asks;
  if (job.channel.dialect === 'xai') {
    const images = urls.map((url) => ({ type: 'image_url', url }));
    const [only] = images;
    return {
      json: shaped(job, { ...fields, ...(images.length === 1 ? { image: only } : { images }) }),
    };
  }
  const files = urls.map((url) => readDataUrl(url));
  const maskFile = mask === undefined ? undefined : readDataUrl(mask);
  const areHere = files.every((file) => file !== undefined) && (!mask || maskFile !== undefined);
  if (!areHere) {
    const images = urls.map((url) => ({ image_url: url }));
    const byLink = { ...fields, images, ...(mask !== undefined && { mask: { image_url: mask } }) };
    return { json: shaped(job, byLink) };
  }
  const name = files.length === 1 ? 'image' : 'image[]';
  return {
    multipart: [
      ...formParts(shaped(job, fields)),
      ...files.map((file, n) => filePart(name, file, n)),
      ...(maskFile ? [filePart('mask', maskFile)] : []),
    ],
  };
}

/** `{data: [{b64_json | url}], usage}`; some servers put an error into a good status. */
export function imagesOf(answer: Fields, job: MediaJob, http: MediaHttp): Started {
  const data: unknown[] = Array.isArray(answer['data']) ? answer['data'] : [];
  const format = typeof answer['output_format'] === 'string' ? answer['output_format'] : 'png';
  const assets = data.flatMap((item) => imageOf(item, `image/${format}`) ?? []);
  if (assets.length === 0) return failure(answer, http);
  const { usage } = answer;
  return {
    state: 'completed',
    assets,
    measured: measured(
      job,
      assets.length,
      {
        input_token: at(usage, 'input_tokens'),
        output_image_token: at(usage, 'output_tokens'),
      },
      usdOf(at(usage, 'cost')) ?? usdOf(at(usage, 'cost_in_usd_ticks'), 1e10),
    ),
  };
}

function imageOf(item: unknown, contentType: string): Asset | undefined {
  if (!isFields(item) || item['respect_moderation'] === false) return undefined;
  const bytes = base64Of(item['b64_json']);
  return bytes ? { bytes, contentType } : assetOf(item['url']);
}
