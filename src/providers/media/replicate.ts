/** Replicate's predictions: the input is the model's own. Results and all about them are deleted after an hour. */
import type {
  Fields,
  Json,
  MediaHttp,
  MediaJob,
  MediaProvider,
  Polled,
  Started,
} from '../media.ts';
import { type Asks, asksOf, pictures, secondsOf, shaped, sidesOf } from './asks.ts';
import { refusal } from './failure.ts';
import { notThere, polled } from './polled.ts';
import { amountOf, idOf, linksIn, measured } from './read.ts';
import { stateOf } from './states.ts';

export const replicate: MediaProvider = {
  name: 'replicate',
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

async function start(job: MediaJob, http: MediaHttp): Promise<Started> {
  const input = shaped(job, inputOf(job, asksOf(job)));
  const { to, version } = placeOf(job.upstreamModel);
  const answer = await http.request({
    to,
    body: { json: { ...(version !== undefined && { version }), input } },
  });
  if (answer.status >= 300) return refusal(answer, http);
  return { state: 'started', ref: idOf(answer.json()['id']) };
}

/** "owner/name", "owner/name:version", "version" or "deployments/owner/name". */
function placeOf(model: string): { to: string; version?: string } {
  const version = /^(?:[^/:]+\/[^/:]+:)?([0-9a-f]{64})$/.exec(model)?.[1];
  if (version !== undefined) return { to: '/predictions', version };
  if (model.startsWith('deployments/')) return { to: `/${model}/predictions` };
  return { to: `/models/${model}/predictions` };
}

async function poll(ref: Json, job: MediaJob, http: MediaHttp): Promise<Polled> {
  const answer = await http.request({ to: `/predictions/${idOf(ref)}` });
  const gone = notThere(answer);
  if (gone) return gone;
  const told = answer.json();
  // A model that streams shows parts of its output while it runs.
  const assets = stateOf(told['status']) === 'completed' ? linksIn(told['output']) : [];
  if (told['data_removed'] === true && assets.length === 0) return { state: 'gone' };
  return polled(
    {
      word: told['status'],
      assets,
      measured: measured(job, assets.length),
      error: told['error'],
    },
    http,
  );
}

async function cancel(ref: Json, _job: MediaJob, http: MediaHttp) {
  const answer = await http.request({ method: 'POST', to: `/predictions/${idOf(ref)}/cancel` });
  if (answer.status >= 300) return 'too_late';
  // It answers the prediction as it stands; one that had ended stays as it was.
  return stateOf(answer.json()['status']) === 'completed' ? 'too_late' : 'cancelled';
}

interface InputNames {
  first: string;
  last: string;
  references: string;
  /** The first picture goes into a list, with all others. */
  isList?: true;
}

/** What families of models call their pictures; the first that fits. */
const NAMES: [RegExp, InputNames][] = [
  [
    /kling|luma|pixverse|vidu/,
    { first: 'start_image', last: 'end_image', references: 'reference_images' },
  ],
  [
    /hailuo|minimax/,
    { first: 'first_frame_image', last: 'last_frame_image', references: 'subject_reference' },
  ],
  [/kontext/, { first: 'input_image', last: 'last_image', references: 'input_image_2' }],
  [
    /gpt-image/,
    { first: 'input_images', last: 'input_images', references: 'input_images', isList: true },
  ],
  [
    /nano-banana|seedream/,
    { first: 'image_input', last: 'image_input', references: 'image_input', isList: true },
  ],
  [/seedance/, { first: 'image', last: 'last_frame_image', references: 'reference_images' }],
  [/veo/, { first: 'image', last: 'last_frame', references: 'reference_images' }],
  [/wan/, { first: 'image', last: 'last_image', references: 'reference_images' }],
];

function inputOf(job: MediaJob, asks: Asks): Fields {
  const { asked } = job.order;
  const sides = sidesOf(asked.size);
  return {
    ...asks.rest,
    ...picturesOf(job.upstreamModel, asks),
    prompt: asks.prompt || undefined,
    num_outputs: asked.n !== undefined && asked.n > 1 ? asked.n : undefined,
    ...(sides ? { width: sides[0], height: sides[1] } : { size: asked.size }),
    aspect_ratio: asked.aspect_ratio,
    resolution: asked.resolution,
    quality: asked.quality,
    duration: secondsOf(job),
    fps: asked.fps,
    generate_audio: asked.audio,
    scale: amountOf(asked.factor?.replace(/x$/i, '')),
  };
}

/** A model that is not known here is sent its inputs in the caller's own names. */
function picturesOf(model: string, asks: Asks): Fields {
  const names = NAMES.find(([family]) => family.test(model))?.[1];
  if (!names) return asks.given;
  const inputs = { mask: asks.mask, video: asks.videos[0], audio: asks.sounds[0] };
  if (names.isList) {
    const all = pictures(asks);
    return { ...inputs, [names.first]: all.length ? all : undefined };
  }
  const references = pictures(asks, 'reference');
  return {
    ...inputs,
    [names.first]: pictures(asks, 'first')[0],
    [names.last]: pictures(asks, 'last')[0],
    [names.references]: references.length ? references : undefined,
  };
}
