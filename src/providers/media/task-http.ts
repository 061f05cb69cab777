/** Upstreams that are described in the settings (`task` of a channel) instead of programmed. */
import { MEDIA_TYPES } from '../../config/config.ts';
import type { TaskCall, TaskCreate, TaskHttp } from '../../config/task-http.ts';
import { AppError } from '../../errors.ts';
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
import { signedToken } from './jwt.ts';
import { notThere } from './polled.ts';
import { amountOf, idOf, isFields } from './read.ts';
import { errorIn, knownOf, refused, resultIn, troubled } from './task-answer.ts';
import { fill, fillPath, type Filling, valuesAt } from './template.ts';

export const taskHttp: MediaProvider = {
  name: 'task-http',
  types: new Set(MEDIA_TYPES),
  start,
  poll,
  cancel,
};

const TOKEN_SECONDS = 1_800;

function specOf({ channel, type }: MediaJob): TaskHttp {
  const spec = channel.task;
  if (spec?.types.includes(type)) return spec;
  throw new AppError('no_channel', `The channel ${channel.id} describes no task for ${type}.`, {
    retryAfterSeconds: 60,
  });
}

async function start(job: MediaJob, http: MediaHttp): Promise<Started> {
  const spec = specOf(job);
  const asks = asksOf(job);
  const index = spec.create.findIndex(({ when }) => fits(when, job, asks));
  const create = spec.create[index];
  if (!create) {
    return { ...failure('No way is described to make this of these inputs.', http, 'refused') };
  }
  const filling = fillingOf(job, spec, () => asks);
  const isResult = create.is_result === true || (!create.poll && !spec.poll);
  const answer = await send(create, { job, http, filling, isSlow: isResult }, (body) =>
    shaped(job, create.passthrough ? { ...asks.rest, ...body } : body),
  );
  if (answer.status >= 300) return refusal(answer, http);
  const told = answer.json();
  const error = errorIn(told, spec);
  if (error) return refused(error, told, http);
  if (isResult) return resultIn(told, { job, http, spec }, 'completed');
  const id = valuesAt(told, spec.id ?? '/id')[0];
  return { state: 'started', ref: { id: idOf(id), create: index } };
}

function fits(when: TaskCreate['when'], { type }: MediaJob, asks: Asks): boolean {
  if (when?.type && !when.type.includes(type)) return false;
  return (when?.has ?? []).every((input) => {
    if (input === 'video') return asks.videos.length > 0;
    if (input === 'audio') return asks.sounds.length > 0;
    const role = input === 'image' ? undefined : input === 'last_image' ? 'last' : 'reference';
    return pictures(asks, role).length > 0;
  });
}

async function poll(ref: Json, job: MediaJob, http: MediaHttp): Promise<Polled> {
  const spec = specOf(job);
  const { id, create } = placeOf(ref);
  const call = spec.create[create]?.poll ?? spec.poll;
  if (!call) return { state: 'gone' };
  const filling = fillingOf(job, spec, () => asksOf(job), { id });
  const answer = await send(call, { job, http, filling });
  const gone = notThere(answer);
  if (gone) return gone;
  const told = answer.json();
  const error = errorIn(told, spec);
  const word = valuesAt(told, spec.status ?? '/status')[0];
  // What says that it failed and why is an answer; a question that failed is asked again.
  if (error && word === undefined) throw troubled(error);
  const known = knownOf(word, spec);
  const { result } = spec;
  if (known !== 'completed' || !result.call) {
    return resultIn(told, { job, http, spec }, known, word);
  }
  const further = fillingOf(job, spec, () => asksOf(job), { id }, told);
  const last = await send(result.call, { job, http, filling: further });
  return notThere(last) ?? resultIn(last.json(), { job, http, spec, measuredIn: told }, known);
}

async function cancel(ref: Json, job: MediaJob, http: MediaHttp) {
  const spec = specOf(job);
  if (!spec.cancel) return 'unsupported';
  const filling = fillingOf(job, spec, () => asksOf(job), { id: placeOf(ref).id });
  const answer = await send(spec.cancel, { job, http, filling });
  if (answer.status >= 300) return 'too_late';
  return isEmpty(answer) || !errorIn(answer.json(), spec) ? 'cancelled' : 'too_late';
}

function isEmpty({ body }: MediaAnswer): boolean {
  return body.length === 0;
}

function placeOf(ref: Json): { id: string; create: number } {
  const place = isFields(ref) ? ref : {};
  return { id: idOf(place['id']), create: amountOf(place['create']) ?? 0 };
}

interface Call {
  job: MediaJob;
  http: MediaHttp;
  filling: Filling;
  isSlow?: boolean;
}

function send(
  { method, path, body }: TaskCall,
  { job, http, filling, isSlow = false }: Call,
  finish: (fields: Fields) => Fields = (fields) => fields,
): Promise<MediaAnswer> {
  const filled = body === undefined ? undefined : fill(body, filling);
  return http.request({
    method: method ?? (body === undefined ? 'GET' : 'POST'),
    to: fillPath(path, filling),
    ...authOf(job, http.nowMs()),
    ...(specOf(job).headers && { headers: specOf(job).headers! }),
    ...(filled !== undefined && { body: { json: isFields(filled) ? finish(filled) : filled } }),
    isSlow,
  });
}

function authOf(job: MediaJob, nowMs: number): { auth?: Record<string, string> } {
  const { auth } = specOf(job);
  const { apiKey } = job.channel;
  if (!auth || apiKey === null) return {};
  if ('header' in auth) {
    return { auth: { [auth.header.toLowerCase()]: `${auth.prefix ?? ''}${apiKey}` } };
  }
  const { issuer, ttl_seconds: ttlSeconds = TOKEN_SECONDS } = auth.jwt;
  const token = signedToken({ issuer, secret: apiKey, ttlSeconds }, nowMs);
  return { auth: { authorization: `Bearer ${token}` } };
}

/** What the places of templates stand for. */
function fillingOf(
  job: MediaJob,
  { maps = {} }: TaskHttp,
  read: () => Asks,
  more: Fields = {},
  before?: Fields,
): Filling {
  let values: Fields | undefined;
  return {
    maps,
    value: (name) => {
      if (Object.hasOwn(more, name)) return more[name];
      if (name.startsWith('/')) return before && valuesAt(before, name)[0];
      if (name.startsWith('field.')) return read().rest[name.slice('field.'.length)];
      return (values ??= valuesOf(job, read()))[name];
    },
  };
}

function valuesOf(job: MediaJob, asks: Asks): Fields {
  const { asked } = job.order;
  const sides = sidesOf(asked.size);
  return {
    model: job.upstreamModel,
    task_id: job.taskId,
    prompt: asks.prompt || undefined,
    duration: secondsOf(job),
    n: asked.n,
    size: asked.size,
    width: sides?.[0],
    height: sides?.[1],
    resolution: asked.resolution,
    quality: asked.quality,
    aspect_ratio: asked.aspect_ratio,
    fps: asked.fps,
    audio: asked.audio,
    factor: amountOf(asked.factor?.replace(/x$/i, '')),
    image: pictures(asks, 'first')[0],
    last_image: pictures(asks, 'last')[0],
    images: pictures(asks),
    references: pictures(asks, 'reference'),
    video: asks.videos[0],
    videos: asks.videos,
    sound: asks.sounds[0],
    mask: asks.mask,
  };
}
