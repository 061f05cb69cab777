/** ModelArk / Volcengine Ark: Seedance makes videos as tasks, Seedream images at once. */
import type {
  Fields,
  Json,
  MediaHttp,
  MediaJob,
  MediaProvider,
  Polled,
  Started,
} from '../media.ts';
import { type Asks, asksOf, pictures, secondsOf, shaped } from './asks.ts';
import { refusal } from './failure.ts';
import { imagesOf } from './openai-images.ts';
import { notThere, polled } from './polled.ts';
import { amountOf, assetOf, at, idOf, measured } from './read.ts';

export const modelark: MediaProvider = {
  name: 'modelark',
  types: new Set(['video', 'image', 'image_edit'] as const),
  start: (job, http) => (job.type === 'video' ? startVideo(job, http) : startImage(job, http)),
  poll,
  cancel,
};

const TASKS = '/contents/generations/tasks';
const ROLES = { first: 'first_frame', last: 'last_frame', reference: 'reference_image' } as const;

async function startVideo(job: MediaJob, http: MediaHttp): Promise<Started> {
  const asks = asksOf(job);
  const { resolution, aspect_ratio, audio, fps } = job.order.asked;
  const json = shaped(job, {
    ...asks.rest,
    model: job.upstreamModel,
    content: contentOf(asks),
    resolution,
    ratio: aspect_ratio,
    duration: secondsOf(job) ?? (job.order.asked.duration === 'auto' ? -1 : undefined),
    framespersecond: fps,
    generate_audio: audio,
  });
  const answer = await http.request({ to: TASKS, body: { json } });
  if (answer.status >= 300) return refusal(answer, http);
  return { state: 'started', ref: idOf(answer.json()['id']) };
}

function contentOf(asks: Asks): Fields[] {
  // Beside references every picture is one: first and last frames do not go with them.
  const hasReferences =
    asks.videos.length + asks.sounds.length > 0 ||
    asks.pictures.some(({ role }) => role === 'reference');
  return [
    ...(asks.prompt === '' ? [] : [{ type: 'text', text: withoutCommands(asks.prompt) }]),
    ...asks.pictures.map(({ url, role }) => ({
      type: 'image_url',
      image_url: { url },
      role: hasReferences ? ROLES.reference : ROLES[role],
    })),
    ...asks.videos.map((url) => ({
      type: 'video_url',
      video_url: { url },
      role: 'reference_video',
    })),
    ...asks.sounds.map((url) => ({
      type: 'audio_url',
      audio_url: { url },
      role: 'reference_audio',
    })),
  ];
}

/** "--dur 12 --rs 1080p" in the text of Seedance's older models are settings, and nobody has priced them there. */
function withoutCommands(prompt: string): string {
  return prompt.replaceAll(/--+(?=[a-z])/gi, '\u2014');
}

async function poll(ref: Json, job: MediaJob, http: MediaHttp): Promise<Polled> {
  const answer = await http.request({ to: `${TASKS}/${idOf(ref)}` });
  const gone = notThere(answer);
  if (gone) return gone;
  const told = answer.json();
  const asset = assetOf(at(told, 'content', 'video_url'));
  return polled(
    {
      word: told['status'],
      assets: asset ? [asset] : [],
      measured: measured(job, 1, {
        video_token: at(told, 'usage', 'completion_tokens') ?? at(told, 'usage', 'total_tokens'),
        output_second: secondsIn(told),
      }),
      error: told['error'],
    },
    http,
  );
}

function secondsIn(told: Fields): number | undefined {
  const frames = amountOf(told['frames']);
  const rate = amountOf(told['framespersecond']);
  return amountOf(told['duration']) ?? (frames && rate ? frames / rate : undefined);
}

/** A running task cannot be cancelled; a DELETE of one that ended takes it out of the list. */
async function cancel(ref: Json, { type }: MediaJob, http: MediaHttp) {
  if (type !== 'video') return 'unsupported';
  const to = `${TASKS}/${idOf(ref)}`;
  const seen = await http.request({ to });
  if (seen.status >= 300 || seen.json()['status'] !== 'queued') return 'too_late';
  const answer = await http.request({ method: 'DELETE', to });
  return answer.status < 300 ? 'cancelled' : 'too_late';
}

async function startImage(job: MediaJob, http: MediaHttp): Promise<Started> {
  const asks = asksOf(job);
  const { n, size, resolution } = job.order.asked;
  const images = pictures(asks);
  const json = shaped(job, {
    ...asks.rest,
    model: job.upstreamModel,
    prompt: asks.prompt,
    image: images.length > 1 ? images : images[0],
    // "2K", or width and height.
    size: size ?? resolution,
    response_format: 'url',
    ...(n !== undefined &&
      n > 1 && {
        sequential_image_generation: 'auto',
        sequential_image_generation_options: { max_images: n },
      }),
  });
  const answer = await http.request({ to: '/images/generations', body: { json }, isSlow: true });
  return answer.status < 300 ? imagesOf(answer.json(), job, http) : refusal(answer, http);
}
