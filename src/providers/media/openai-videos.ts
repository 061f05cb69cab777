/** Videos as OpenAI made them, and as OpenRouter and xAI changed them: the channel's `dialect` says which. */
import type { VideoDialect } from '../../config/config.ts';
import type {
  Asset,
  Fields,
  Json,
  MediaBody,
  MediaHttp,
  MediaJob,
  MediaProvider,
  Polled,
  Started,
} from '../media.ts';
import { type Asks, asksOf, pictures, secondsOf, shaped } from './asks.ts';
import { refusal } from './failure.ts';
import { filePart, formParts } from './multipart.ts';
import { notThere, polled } from './polled.ts';
import { assetOf, at, idOf, measured, progressOf, readDataUrl, usdOf } from './read.ts';

export const openaiVideos: MediaProvider = {
  name: 'openai-videos',
  types: new Set(['video']),
  start,
  poll,
  cancel,
};

interface Dialect {
  create: string;
  body(job: MediaJob, asks: Asks): MediaBody;
  /** The field of the answer that holds the id. */
  id: string;
  told(answer: Fields, job: MediaJob): { assets: Asset[]; seconds: unknown; costUsd?: string };
}

const DIALECTS: Record<VideoDialect, Dialect> = {
  openai: { create: '/videos', body: openaiBody, id: 'id', told: openaiTold },
  openrouter: { create: '/videos', body: openrouterBody, id: 'id', told: openrouterTold },
  xai: { create: '/videos/generations', body: xaiBody, id: 'request_id', told: xaiTold },
};

async function start(job: MediaJob, http: MediaHttp): Promise<Started> {
  const asks = asksOf(job);
  const dialect = DIALECTS[job.channel.dialect];
  const to = job.channel.dialect === 'xai' && asks.videos.length ? '/videos/edits' : dialect.create;
  const answer = await http.request({ to, body: dialect.body(job, asks) });
  if (answer.status >= 300) return refusal(answer, http);
  const told = answer.json();
  const id = told[dialect.id] ?? told['id'] ?? told['task_id'];
  if (id === undefined && told['error']) return stateOfJob(told, job, http, '');
  return { state: 'started', ref: idOf(id) };
}

async function poll(ref: Json, job: MediaJob, http: MediaHttp): Promise<Polled> {
  const id = idOf(ref);
  const answer = await http.request({ to: `/videos/${id}` });
  return notThere(answer) ?? stateOfJob(answer.json(), job, http, id);
}

function stateOfJob(answer: Fields, job: MediaJob, http: MediaHttp, id: string): Polled {
  const { assets, seconds, costUsd } = DIALECTS[job.channel.dialect].told(answer, job);
  const isBlocked = at(answer, 'video', 'respect_moderation') === false;
  const blocked = 'The video was filtered by moderation.';
  const hasContent = assets.length === 0 && answer['status'] === 'completed' && id !== '';
  return polled(
    {
      word: isBlocked ? 'moderated' : answer['status'],
      ...progressOf(answer['progress']),
      assets: hasContent ? [contentOf(id, job)] : assets,
      measured: measured(job, 1, { output_second: seconds }, costUsd),
      error: isBlocked ? blocked : answer['error'],
    },
    http,
  );
}

/** The bytes behind the channel's own door. */
function contentOf(id: string, { channel }: MediaJob): Asset {
  const { apiKey, baseUrl, headers } = channel;
  return {
    url: `${baseUrl}/videos/${id}/content`,
    headers: { ...(apiKey !== null && { authorization: `Bearer ${apiKey}` }), ...headers },
  };
}

async function cancel(ref: Json, { channel }: MediaJob, http: MediaHttp) {
  if (channel.dialect !== 'openai') return 'unsupported' as const;
  const answer = await http.request({ method: 'DELETE', to: `/videos/${idOf(ref)}` });
  if (answer.status < 300) return 'cancelled' as const;
  return answer.status === 405 ? ('unsupported' as const) : ('too_late' as const);
}

function openaiBody(job: MediaJob, asks: Asks): MediaBody {
  const { size, resolution, aspect_ratio, audio, fps } = job.order.asked;
  const seconds = secondsOf(job);
  const fields = shaped(job, {
    ...asks.rest,
    model: job.upstreamModel,
    prompt: asks.prompt,
    seconds: seconds === undefined ? undefined : String(seconds),
    size,
    // What OpenAI's own form has no word for, and servers of its dialect take.
    ...(size === undefined && { resolution, aspect_ratio }),
    generate_audio: audio,
    fps,
  });
  const [first] = pictures(asks);
  const file = first === undefined ? undefined : readDataUrl(first);
  const reference = file || first === undefined ? {} : { input_reference: { image_url: first } };
  return {
    // As OpenAI's own client does; some servers take nothing else.
    multipart: [
      ...formParts({ ...fields, ...reference }),
      ...(file ? [filePart('input_reference', file)] : []),
    ],
  };
}

function openaiTold(answer: Fields) {
  const url =
    at(answer, 'metadata', 'url') ?? answer['video_url'] ?? at(answer, 'video', 'url') ?? undefined;
  const asset = assetOf(url);
  return { assets: asset ? [asset] : [], seconds: answer['seconds'] };
}

function openrouterBody(job: MediaJob, asks: Asks): MediaBody {
  const { size, resolution, aspect_ratio, audio } = job.order.asked;
  const frames = asks.pictures.filter(({ role }) => role !== 'reference');
  const link = (kind: 'image_url' | 'video_url' | 'audio_url') => (url: string) => ({
    type: kind,
    [kind]: { url },
  });
  const references = [
    ...pictures(asks, 'reference').map(link('image_url')),
    ...asks.videos.map(link('video_url')),
    ...asks.sounds.map(link('audio_url')),
  ];
  return {
    json: shaped(job, {
      ...asks.rest,
      model: job.upstreamModel,
      prompt: asks.prompt,
      duration: secondsOf(job),
      size,
      resolution,
      aspect_ratio,
      generate_audio: audio,
      frame_images: frames.length
        ? frames.map(({ url, role }) => ({
            ...link('image_url')(url),
            frame_type: role === 'last' ? 'last_frame' : 'first_frame',
          }))
        : undefined,
      input_references: references.length ? references : undefined,
    }),
  };
}

/** `urls` are signed and need no key; `unsigned_urls` lie behind the channel's own door, where they do not name another host. */
function openrouterTold(answer: Fields, job: MediaJob) {
  const signed = listOf(answer['urls']).flatMap((url) => assetOf(url) ?? []);
  const own = listOf(answer['unsigned_urls']).flatMap((url) => behindDoor(url, job));
  const costUsd = usdOf(at(answer, 'usage', 'cost'));
  return {
    assets: signed.length ? signed : own,
    seconds: answer['duration'],
    ...(costUsd !== undefined && { costUsd }),
  };
}

function behindDoor(url: unknown, { channel }: MediaJob): Asset[] {
  const base = new URL(channel.baseUrl);
  if (typeof url !== 'string' || !URL.canParse(url, base.href)) return [];
  const target = new URL(url, base);
  const isOwn = target.origin === base.origin && channel.apiKey !== null;
  return [
    {
      url: target.href,
      ...(isOwn && { headers: { authorization: `Bearer ${channel.apiKey}`, ...channel.headers } }),
    },
  ];
}

function xaiBody(job: MediaJob, asks: Asks): MediaBody {
  const { resolution, aspect_ratio } = job.order.asked;
  const [first] = pictures(asks, 'first');
  const references = pictures(asks, 'reference');
  const [video] = asks.videos;
  return {
    json: shaped(job, {
      ...asks.rest,
      model: job.upstreamModel,
      prompt: asks.prompt,
      // An edit is as long as the video that is edited.
      duration: video === undefined ? secondsOf(job) : undefined,
      resolution,
      aspect_ratio,
      image: first === undefined ? undefined : { url: first },
      reference_images: references.length ? references.map((url) => ({ url })) : undefined,
      video: video === undefined ? undefined : { url: video },
    }),
  };
}

function xaiTold(answer: Fields) {
  const asset = assetOf(at(answer, 'video', 'url'));
  const costUsd = usdOf(at(answer, 'usage', 'cost_in_usd_ticks'), 1e10);
  return {
    assets: asset ? [asset] : [],
    seconds: at(answer, 'video', 'duration'),
    ...(costUsd !== undefined && { costUsd }),
  };
}

function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? (value as unknown[]) : [];
}
