/** The sandbox's own upstream, which makes real files that mean nothing. */
import type { Json, MediaHttp, MediaJob, MediaProvider, Polled, Started } from '../media.ts';
import { asksOf, secondsOf, shaped } from './asks.ts';
import { refusal } from './failure.ts';
import { notThere, polled } from './polled.ts';
import { amountOf, assetOf, idOf, measured } from './read.ts';

export const demo: MediaProvider = {
  name: 'demo',
  types: new Set([
    'image',
    'image_edit',
    'upscale',
    'background_remove',
    'music',
    'sound',
    'video',
  ] as const),
  isIdempotent: true,
  start,
  poll,
  cancel,
};

async function start(job: MediaJob, http: MediaHttp): Promise<Started> {
  const { prompt, rest } = asksOf(job);
  const { n, size, aspect_ratio, factor } = job.order.asked;
  const answer = await http.request({
    to: '/media/jobs',
    headers: { 'idempotency-key': job.taskId },
    body: {
      json: shaped(job, {
        type: job.type,
        model: job.upstreamModel,
        prompt,
        n,
        size,
        aspect_ratio,
        factor,
        duration: secondsOf(job),
        demo_delay_ms: amountOf(rest['demo_delay_ms']),
        demo_outcome: rest['demo_outcome'],
      }),
    },
  });
  if (answer.status >= 300) return refusal(answer, http);
  return { state: 'started', ref: idOf(answer.json()['id']), pollAfterMs: 250 };
}

async function poll(ref: Json, job: MediaJob, http: MediaHttp): Promise<Polled> {
  const answer = await http.request({ to: `/media/jobs/${idOf(ref)}` });
  const gone = notThere(answer);
  if (gone) return gone;
  const told = answer.json();
  const files: unknown[] = Array.isArray(told['files']) ? told['files'] : [];
  const assets = files.flatMap((url) => assetOf(url) ?? []);
  return polled(
    {
      word: told['status'],
      progress: amountOf(told['progress']),
      assets,
      measured: measured(job, assets.length, { output_second: told['seconds'] }),
      error: told['error'],
    },
    http,
  );
}

async function cancel(ref: Json, _job: MediaJob, http: MediaHttp) {
  const answer = await http.request({ method: 'DELETE', to: `/media/jobs/${idOf(ref)}` });
  return answer.status < 300 && answer.json()['status'] === 'cancelled' ? 'cancelled' : 'too_late';
}
