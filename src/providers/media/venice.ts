/** Venice: images at once, video and audio through its queue, whose answer is either a state as JSON or the result itself. */
import type { MediaType } from '../../config/config.ts';
import type {
  Asset,
  Fields,
  Json,
  MediaAnswer,
  MediaHttp,
  MediaJob,
  MediaProvider,
  Polled,
  Started,
} from '../media.ts';
import { type Asks, asksOf, pictures, secondsOf, shaped, sidesOf } from './asks.ts';
import { failure, refusal } from './failure.ts';
import { notThere, polled } from './polled.ts';
import { amountOf, assetOf, base64Of, garbled, idOf, isFields, measured, textOf } from './read.ts';

export const venice: MediaProvider = {
  name: 'venice',
  types: new Set([
    'image',
    'image_edit',
    'upscale',
    'background_remove',
    'music',
    'sound',
    'video',
  ] as const),
  start: (job, http) => (isQueued(job) ? queue(job, http) : makeImage(job, http)),
  poll: retrieve,
  cancel: () => Promise.resolve('unsupported' as const),
};

function isQueued({ type }: { type: MediaType }): boolean {
  return type === 'video' || type === 'music' || type === 'sound';
}

function roomOf({ type }: MediaJob): string {
  return type === 'video' ? '/video' : '/audio';
}

async function queue(job: MediaJob, http: MediaHttp): Promise<Started> {
  const asks = asksOf(job);
  const json = shaped(job, job.type === 'video' ? videoFields(job, asks) : audioFields(job, asks));
  const answer = await http.request({ to: `${roomOf(job)}/queue`, body: { json } });
  if (answer.status >= 300) return refusal(answer, http);
  const told = answer.json();
  const download = textOf(told['download_url']);
  return {
    state: 'started',
    ref: { id: idOf(told['queue_id']), ...(download !== undefined && { download }) },
  };
}

function videoFields(job: MediaJob, asks: Asks): Fields {
  const { aspect_ratio, resolution, audio, factor } = job.order.asked;
  const seconds = secondsOf(job);
  const references = pictures(asks, 'reference');
  const [video, ...more] = asks.videos;
  const [sound, ...sounds] = asks.sounds;
  return {
    ...asks.rest,
    model: job.upstreamModel,
    prompt: asks.prompt,
    duration: seconds === undefined ? 'auto' : `${seconds}s`,
    aspect_ratio,
    resolution,
    audio,
    upscale_factor: amountOf(factor?.replace(/x$/i, '')),
    image_url: pictures(asks, 'first')[0],
    end_image_url: pictures(asks, 'last')[0],
    reference_image_urls: references.length ? references : undefined,
    ...('reference_video_urls' in asks.given || more.length
      ? { reference_video_urls: asks.videos }
      : { video_url: video }),
    ...('reference_audio_urls' in asks.given || sounds.length
      ? { reference_audio_urls: asks.sounds }
      : { audio_url: sound }),
  };
}

/** Its audio queue refuses what it does not know. */
const AUDIO_FIELDS = [
  'lyrics_prompt',
  'force_instrumental',
  'lyrics_optimizer',
  'loop',
  'voice',
  'language_code',
  'speed',
];

function audioFields(job: MediaJob, { prompt, rest }: Asks): Fields {
  return {
    ...pick({ lyrics_prompt: rest['lyrics'], ...rest }, AUDIO_FIELDS),
    model: job.upstreamModel,
    prompt,
    duration_seconds: secondsOf(job),
  };
}

async function retrieve(ref: Json, job: MediaJob, http: MediaHttp): Promise<Polled> {
  const place = isFields(ref) ? ref : {};
  const answer = await http.request({
    to: `${roomOf(job)}/retrieve`,
    body: { json: { model: job.upstreamModel, queue_id: idOf(place['id']) } },
    isSlow: true,
    accept: [422],
  });
  if (answer.status === 422) return refusal(answer, http);
  const gone = notThere(answer);
  if (gone) return gone;
  const made = bytesOf(answer);
  if (made) return completed(job, [made]);
  const told = answer.json();
  const download = assetOf(place['download']);
  return polled(
    {
      word: told['status'],
      progress: progressOf(told),
      assets: told['status'] === 'COMPLETED' && download ? [download] : [],
      measured: measured(job, 1),
      error: told['error'],
    },
    http,
  );
}

/** From how long it has run and how long four of five take; never quite done. */
function progressOf(told: Fields): number | undefined {
  const usual = amountOf(told['average_execution_time']);
  const now = amountOf(told['execution_duration']);
  return usual && now !== undefined ? Math.min(95, Math.floor((now / usual) * 100)) : undefined;
}

function bytesOf({ contentType, body }: MediaAnswer): Asset | undefined {
  if (!/^(image|video|audio|application\/octet-stream)/.test(contentType)) return undefined;
  if (body.length === 0) throw garbled('answered with nothing');
  return { bytes: body, contentType };
}

function completed(job: MediaJob, assets: Asset[]): Polled {
  return {
    state: 'completed',
    assets,
    measured: measured(job, assets.length),
  };
}

const IMAGE_FIELDS = [
  'cfg_scale',
  'embed_exif_metadata',
  'hide_watermark',
  'lora_strength',
  'negative_prompt',
  'safe_mode',
  'seed',
  'steps',
  'style_preset',
  'style_references',
  'disable_prompt_optimization_thinking',
  'format',
];

async function makeImage(job: MediaJob, http: MediaHttp): Promise<Started> {
  const asks = asksOf(job);
  const { to, fields } = imageRequest(job, asks);
  const answer = await http.request({ to, body: { json: shaped(job, fields) }, isSlow: true });
  if (answer.status >= 300) return refusal(answer, http);
  if (answer.headers['x-venice-is-content-violation'] === 'true') {
    return failure('The image was filtered by moderation.', http, 'moderated');
  }
  const made = bytesOf(answer);
  if (made) return completed(job, [made]);
  const told = answer.json();
  const list: unknown[] = Array.isArray(told['images']) ? told['images'] : [];
  const type = `image/${textOf(asks.rest['format'] ?? asks.rest['output_format']) ?? 'webp'}`;
  const assets = list.flatMap((image) => {
    const bytes = base64Of(image);
    return bytes ? [{ bytes, contentType: type }] : [];
  });
  return assets.length ? completed(job, assets) : failure(told, http);
}

function imageRequest(job: MediaJob, asks: Asks): { to: string; fields: Fields } {
  const { order, upstreamModel } = job;
  const { n, size, aspect_ratio, resolution, quality, factor } = order.asked;
  const [image] = pictures(asks);
  const all = pictures(asks);
  switch (job.type) {
    case 'upscale': {
      const scale = amountOf(factor?.replace(/x$/i, ''));
      return {
        to: '/image/upscale',
        fields: { ...pick(asks.rest, ['creativity']), image: bare(image), scale },
      };
    }
    case 'background_remove':
      return {
        to: '/image/background-remove',
        fields: isLink(image) ? { image_url: image } : { image: bare(image) },
      };
    case 'image_edit': {
      const fields = { ...asks.rest, prompt: asks.prompt, aspect_ratio, resolution, quality };
      return all.length > 1
        ? {
            to: '/image/multi-edit',
            fields: { ...fields, modelId: upstreamModel, images: all.map(bare) },
          }
        : { to: '/image/edit', fields: { ...fields, model: upstreamModel, image: bare(image) } };
    }
    default: {
      const sides = sidesOf(size);
      return {
        to: '/image/generate',
        fields: {
          format: asks.rest['output_format'],
          ...pick(asks.rest, IMAGE_FIELDS),
          model: upstreamModel,
          prompt: asks.prompt,
          variants: n,
          ...(sides && { width: sides[0], height: sides[1] }),
          aspect_ratio,
          resolution,
          quality,
        },
      };
    }
  }
}

function isLink(url: string | undefined): boolean {
  return /^https?:/i.test(url ?? '');
}

/** These routes take links and bare base64. */
function bare(url: string | undefined): string | undefined {
  return url?.startsWith('data:') ? url.slice(url.indexOf(',') + 1) : url;
}

function pick(fields: Fields, names: readonly string[]): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([name]) => names.includes(name)));
}
