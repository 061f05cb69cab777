/** ElevenLabs' music and sound effects: the answer is the sound itself. */
import { AppError } from '../../errors.ts';
import type { MediaAnswer, MediaHttp, MediaJob, MediaProvider, Started } from '../media.ts';
import { asksOf, secondsOf, shaped } from './asks.ts';
import { failure, refusal } from './failure.ts';
import { at, measured, textOf } from './read.ts';

export const elevenlabs: MediaProvider = {
  name: 'elevenlabs',
  types: new Set(['music', 'sound'] as const),
  start,
};

/** Its 429 is of two kinds: too many at once, which passes as soon as one ends, and a system that is busy. */
const BUSY_AGAIN_SECONDS = { too_many_concurrent_requests: 2, system_busy: 15 };

async function start(job: MediaJob, http: MediaHttp): Promise<Started> {
  const { prompt, rest } = asksOf(job);
  const { output_format: format, instrumental, ...fields } = rest;
  const seconds = secondsOf(job);
  const isMusic = job.type === 'music';
  const json = isMusic
    ? {
        force_instrumental: instrumental,
        ...fields,
        prompt,
        model_id: job.upstreamModel,
        music_length_ms: seconds === undefined ? undefined : Math.round(seconds * 1_000),
      }
    : { ...fields, text: prompt, model_id: job.upstreamModel, duration_seconds: seconds };
  const query = textOf(format) ? `?output_format=${encodeURIComponent(textOf(format)!)}` : '';
  const { apiKey } = job.channel;
  const answer = await http.request({
    to: `${isMusic ? '/music' : '/sound-generation'}${query}`,
    auth: apiKey === null ? {} : { 'xi-api-key': apiKey },
    body: { json: shaped(job, json) },
    isSlow: true,
    accept: [429],
  });
  if (answer.status === 429) throw busy(answer);
  if (answer.status >= 300) return refusal(answer, http);
  const { body: bytes, contentType } = answer;
  if (bytes.length === 0) return failure('The upstream answered with nothing.', http);
  if (contentType === 'application/json') return failure(answer.json(), http);
  return {
    state: 'completed',
    assets: [{ bytes, contentType: contentType || 'audio/mpeg' }],
    measured: measured(job, 1),
  };
}

function busy(answer: MediaAnswer): AppError {
  const said = Number(answer.headers['retry-after']);
  const isQueue = at(parsed(answer), 'detail', 'status') === 'too_many_concurrent_requests';
  const usual = BUSY_AGAIN_SECONDS[isQueue ? 'too_many_concurrent_requests' : 'system_busy'];
  return new AppError('upstream_busy', 'The model is busy. Try again shortly.', {
    retryAfterSeconds: said >= 1 && said <= 3_600 ? Math.ceil(said) : usual,
  });
}

function parsed({ body }: MediaAnswer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
}
