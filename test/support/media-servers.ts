/** Stateful servers shaped like fal's queue and like Replicate: their own clients run against them, and so do our providers. */
import { type MediaUpstream, type Recorded, startMediaUpstream } from './media-upstream.ts';

interface Job {
  looks: number;
  input: unknown;
  isCancelled: boolean;
}

const FOUND = { video: { url: 'https://fal.media/files/a/clip.mp4', content_type: 'video/mp4' } };

/** Queued, running, done: one look each. `shown`: the origin in its answers, as if it were behind another name. */
export async function startFalServer(shown?: string): Promise<MediaUpstream> {
  const server = await startMediaUpstream();
  const jobs = new Map<string, Job>();
  server.otherwise(({ method, path, json, headers }) => {
    if (!headers.authorization?.startsWith('Key '))
      return { status: 401, json: { detail: 'Unauthorized' } };
    const [, app = '', id, place] =
      /^\/([^?]+?)(?:\/requests\/([\w-]+)(?:\/(\w+))?)?(?:\?.*)?$/.exec(path) ?? [];
    if (id === undefined) {
      const made = `req-${jobs.size + 1}`;
      jobs.set(made, { looks: 0, input: json, isCancelled: false });
      // The model's own part of the path is no part of the job's address.
      const at = `${shown ?? server.url}/${app.split('/').slice(0, 2).join('/')}/requests/${made}`;
      const urls = { response_url: at, status_url: `${at}/status`, cancel_url: `${at}/cancel` };
      return { json: { status: 'IN_QUEUE', request_id: made, queue_position: 0, ...urls } };
    }
    const job = jobs.get(id);
    if (!job || app.split('/').length !== 2) return { status: 404, json: { detail: 'Not found' } };
    if (method === 'PUT' && place === 'cancel') {
      if (job.looks > 2) return { status: 400, json: { status: 'ALREADY_COMPLETED' } };
      job.isCancelled = true;
      return { status: 202, json: { status: 'CANCELLATION_REQUESTED' } };
    }
    if (place === 'status') {
      const status = ['IN_QUEUE', 'IN_PROGRESS', 'COMPLETED'][Math.min(2, job.looks++)];
      return {
        status: status === 'COMPLETED' ? 200 : 202,
        json: { status, request_id: id, queue_position: 0, logs: [] },
      };
    }
    return { headers: { 'x-fal-request-id': id, 'x-fal-billable-units': '5' }, json: FOUND };
  });
  return server;
}

/** The same for Replicate. */
export async function startReplicateServer(): Promise<MediaUpstream> {
  const server = await startMediaUpstream();
  const jobs = new Map<string, Job>();
  const told = (id: string, { looks, input, isCancelled }: Job) => {
    const status = isCancelled
      ? 'canceled'
      : ['starting', 'processing', 'succeeded'][Math.min(2, looks)];
    const isDone = status === 'succeeded';
    const at = `${server.url}/v1/predictions/${id}`;
    return {
      id,
      model: 'acme/clip',
      version: 'hidden',
      input,
      status,
      output: isDone ? ['https://replicate.delivery/x/out.mp4'] : null,
      error: null,
      logs: '',
      source: 'api',
      data_removed: false,
      created_at: '2026-11-20T10:00:00.000Z',
      urls: { get: at, cancel: `${at}/cancel` },
      ...(isDone && { metrics: { predict_time: 3.2, total_time: 5 } }),
    };
  };
  server.otherwise(({ method, path, json, headers }: Recorded) => {
    if (!headers.authorization?.startsWith('Bearer '))
      return { status: 401, json: { detail: 'Unauthenticated' } };
    const [, id, cancel] = /^\/v1\/predictions\/(\w+)(\/cancel)?$/.exec(path) ?? [];
    if (method === 'POST' && /^\/v1\/(models\/[\w-]+\/[\w-]+\/)?predictions$/.test(path)) {
      const made = `p${jobs.size + 1}`;
      const job = { looks: 0, input: json['input'], isCancelled: false };
      jobs.set(made, job);
      return { status: 201, json: told(made, job) };
    }
    const job = jobs.get(id ?? '');
    if (!job || id === undefined)
      return { status: 404, json: { detail: 'Not found', status: 404 } };
    if (cancel) job.isCancelled ||= job.looks < 2;
    else job.looks += 1;
    return { json: told(id, job) };
  });
  return server;
}
