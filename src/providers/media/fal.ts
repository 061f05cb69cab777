/**
 * fal.ai's queue: more than a thousand models, each with fields of its own, which pass through. What the order decides is put in under the
 * names that most of them use.
 */
import type {
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
import { amountOf, at, idOf, isFields, linksIn, measured, textOf } from './read.ts';

export const fal: MediaProvider = {
  name: 'fal',
  types: new Set([
    'image',
    'image_edit',
    'upscale',
    'background_remove',
    'music',
    'sound',
    'video',
  ] as const),
  start,
  poll,
  cancel,
};

/** Long enough for us to copy a result, and then it may go. */
const LIFECYCLE = JSON.stringify({ expiration_duration_seconds: 86_400 });

async function start(job: MediaJob, http: MediaHttp): Promise<Started> {
  const answer = await http.request({
    to: `/${job.upstreamModel}`,
    auth: authOf(job),
    headers: { 'x-fal-object-lifecycle-preference': LIFECYCLE },
    body: { json: shaped(job, inputOf(job, asksOf(job))) },
  });
  if (answer.status >= 300) return refusal(answer, http);
  return { state: 'started', ref: refOf(answer.json(), job) };
}

function authOf({ channel: { apiKey } }: MediaJob): Record<string, string> {
  return apiKey === null ? {} : { authorization: `Key ${apiKey}` };
}

/** The URLs that the answer gives, where they are on the channel's own server; else as fal's own client makes them. */
function refOf(answer: Fields, { channel, upstreamModel }: MediaJob): Json {
  const id = idOf(answer['request_id']);
  const segments = upstreamModel.split('/');
  // The first two of a model's name make its address, behind the name of a shared namespace.
  const isShared = segments[0] === 'workflows' || segments[0] === 'comfy';
  const app = segments.slice(0, isShared ? 3 : 2).join('/');
  const made = `/${app}/requests/${id}`;
  const { origin } = new URL(channel.baseUrl);
  const own = (name: string, otherwise: string) => {
    const url = textOf(answer[name]);
    return url && URL.canParse(url) && new URL(url).origin === origin ? url : otherwise;
  };
  return {
    id,
    status: own('status_url', `${made}/status`),
    response: own('response_url', made),
    cancel: own('cancel_url', `${made}/cancel`),
  };
}

async function poll(ref: Json, job: MediaJob, http: MediaHttp): Promise<Polled> {
  const auth = authOf(job);
  const answer = await http.request({ to: placeIn(ref, 'status'), auth });
  const gone = notThere(answer);
  if (gone) return gone;
  const status = answer.json();
  if (status['status'] !== 'COMPLETED') {
    return polled(
      {
        word: status['status'],
        queuePosition: amountOf(status['queue_position']),
        assets: [],
        measured: measured(job, 0),
        error: status['error'],
      },
      http,
    );
  }
  // A job that is COMPLETED may have failed: only its result says so.
  return resultOf(await http.request({ to: placeIn(ref, 'response'), auth }), job, http);
}

function resultOf(answer: MediaAnswer, job: MediaJob, http: MediaHttp): Polled {
  if (answer.status === 404 || answer.status === 410) return { state: 'gone' };
  if (answer.status >= 300) return { ...refusal(answer, http), isRetryable: false };
  const result = answer.json();
  // Some models say the prompt again, which may begin with a link and is no result.
  const assets = linksIn({ ...result, prompt: undefined });
  const flags = result['has_nsfw_concepts'];
  if (Array.isArray(flags) && flags.length > 0 && flags.every((flag) => flag === true)) {
    return failure('The result was filtered by moderation.', http, 'moderated');
  }
  const seconds = at(result, 'video', 'duration') ?? at(result, 'audio', 'duration');
  const units = { output_second: seconds };
  return polled(
    {
      word: 'COMPLETED',
      assets,
      measured: measured(job, assets.length, units),
      error: result['error'] ?? result['detail'],
    },
    http,
  );
}

async function cancel(ref: Json, job: MediaJob, http: MediaHttp) {
  const to = placeIn(ref, 'cancel');
  const answer = await http.request({ method: 'PUT', to, auth: authOf(job) });
  return answer.status < 300 ? 'cancelled' : 'too_late';
}

function placeIn(ref: Json, name: string): string {
  const place = isFields(ref) ? textOf(ref[name]) : undefined;
  return place ?? '/';
}

function inputOf(job: MediaJob, asks: Asks): Fields {
  const { asked } = job.order;
  const factor = amountOf(asked.factor?.replace(/x$/i, ''));
  return {
    ...asks.rest,
    ...inputsOf(job, asks),
    prompt: asks.prompt || undefined,
    num_images: asked.n,
    image_size: sizeFor(job.upstreamModel, asked.size),
    aspect_ratio: asked.aspect_ratio,
    resolution: asked.resolution,
    quality: asked.quality,
    fps: asked.fps,
    generate_audio: asked.audio,
    upscale_factor: factor,
    scale: factor,
    ...lengthOf(job),
  };
}

/** Links in the caller's own names, where fal has such names, and everything in the names that most models use. */
function inputsOf({ type, upstreamModel }: MediaJob, asks: Asks): Fields {
  const own = Object.entries(asks.given).filter(([name]) => /_urls?$/.test(name));
  const [first] = pictures(asks, 'first');
  const [last] = pictures(asks, 'last');
  const references = pictures(asks, 'reference');
  const all = pictures(asks);
  return {
    image_url: first,
    // Some of its versions have this name, some the other; what they do not know they ignore.
    ...(/kling/.test(upstreamModel) && { start_image_url: first }),
    ...(type === 'image' || type === 'image_edit' ? { image_urls: all.length ? all : null } : {}),
    ...(last !== undefined && !('tail_image_url' in asks.given) && { end_image_url: last }),
    reference_image_urls: references.length ? references : undefined,
    mask_url: asks.mask,
    video_url: asks.videos[0],
    audio_url: asks.sounds[0],
    ...Object.fromEntries(own),
  };
}

function sizeFor(model: string, size: string | undefined): unknown {
  const sides = sidesOf(size);
  if (!sides || /gpt-image/.test(model)) return size;
  return { width: sides[0], height: sides[1] };
}

/** How a model is told a length is its own affair; these are the forms in use. */
function lengthOf(job: MediaJob): Fields {
  const seconds = secondsOf(job);
  if (seconds === undefined) return {};
  const model = job.upstreamModel;
  if (/elevenlabs\/music/.test(model)) return { music_length_ms: Math.round(seconds * 1_000) };
  if (/stable-audio/.test(model)) return { seconds_total: seconds };
  if (/sound-effects/.test(model)) return { duration_seconds: seconds };
  if (job.type !== 'video') return { duration: seconds };
  if (/veo|luma|ray-?\d/.test(model)) return { duration: `${seconds}s` };
  if (/sora|ltx|vidu|grok|marey/.test(model)) return { duration: seconds };
  return { duration: String(seconds) };
}
