/** An upstream that makes things slowly: a real server with jobs that tests steer, and the provider that speaks to it. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type {
  Asset,
  Fields,
  Json,
  MediaHttp,
  MediaJob,
  MediaProvider,
  Polled,
  Started,
} from '../../src/providers/media.ts';
import { mp4, png, wav } from './media.ts';

export interface Job {
  id: string;
  taskId: string;
  fields: Fields;
  state: 'pending' | 'processing' | 'completed' | 'failed' | 'gone';
  progress?: number;
  queuePosition?: number;
  /** How often it was asked about. */
  looks: number;
  /** After so many looks it is completed by itself. */
  looksToEnd: number;
  failure?: { failure: 'refused' | 'moderated' | 'failed' | 'expired'; isRetryable?: boolean };
  units: Record<string, number>;
  costUsd?: string;
  /** Names of files, below /files. */
  files: string[];
  cancel: 'cancelled' | 'too_late' | 'unsupported';
}

export type Act = (response: ServerResponse, job: Job) => void;

export interface Studio extends AsyncDisposable {
  url: string;
  jobs: Job[];
  /** Submits that arrived, by task. */
  submits: Map<string, number>;
  /** What every new job is like. */
  usually: Partial<Job>;
  /** Instead of an answer to the next submits, one each; null answers as usual. */
  onSubmit: (Act | null)[];
  /** What each request for a job came with. */
  saw: string[];
  /** Instead of an answer to looks. */
  onLook: Act | null;
  onCancel: Act | null;
  onFile: ((response: ServerResponse, name: string) => void) | null;
  jobOf(taskId: string): Job;
}

export async function startStudio(usually: Partial<Job> = {}): Promise<Studio> {
  const server = createServer((request, response) => {
    void serve(studio, request, response);
  });
  const studio: Studio = {
    url: '',
    jobs: [],
    submits: new Map(),
    usually,
    onSubmit: [],
    saw: [],
    onLook: null,
    onCancel: null,
    onFile: null,
    jobOf: (taskId) => {
      const job = studio.jobs.find((found) => found.taskId === taskId);
      if (!job) throw new Error(`the studio has no job of ${taskId}`);
      return job;
    },
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  studio.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return studio;
}

async function serve(
  studio: Studio,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const [, room, name = ''] = (request.url ?? '').split('/');
  if (room === 'files') return sendFile(studio, response, name);
  studio.saw.push(request.headers.authorization ?? '');
  if (request.method === 'POST') {
    const fields = JSON.parse(Buffer.concat(chunks).toString()) as Fields;
    return submit(studio, response, fields);
  }
  const job = studio.jobs.find(({ id }) => id === name);
  if (!job || job.state === 'gone') return say(response, 404, { error: 'no such job' });
  if (request.method === 'DELETE') {
    if (studio.onCancel) return studio.onCancel(response, job);
    if (job.cancel === 'cancelled') job.state = 'failed';
    return say(response, 200, { said: job.cancel });
  }
  if (studio.onLook) return studio.onLook(response, job);
  job.looks += 1;
  if (job.looks >= job.looksToEnd && job.state !== 'failed') job.state = 'completed';
  say(response, 200, told(studio, job));
}

function submit(studio: Studio, response: ServerResponse, fields: Fields): void {
  const taskId = String(fields['task_id']);
  studio.submits.set(taskId, (studio.submits.get(taskId) ?? 0) + 1);
  const job: Job = {
    id: `job${studio.jobs.length}`,
    taskId,
    fields,
    state: 'pending',
    looks: 0,
    looksToEnd: 1,
    units: {},
    files: ['clip.mp4'],
    cancel: 'cancelled',
    ...studio.usually,
  };
  studio.jobs.push(job);
  const act = studio.onSubmit.shift();
  if (act) act(response, job);
  else say(response, 200, { id: job.id });
}

/** What a look is told. */
export function told(studio: Studio, job: Job): Fields {
  const { state, progress, queuePosition, failure, units, costUsd, files } = job;
  const urls = files.map((file) => (file.includes(':') ? file : `${studio.url}/files/${file}`));
  return { state, progress, queuePosition, failure, units, costUsd, urls };
}

function sendFile(studio: Studio, response: ServerResponse, name: string): void {
  if (studio.onFile) return studio.onFile(response, name);
  const bytes = name.endsWith('.png') ? png() : name.endsWith('.wav') ? wav() : mp4();
  response.writeHead(200, { 'content-length': String(bytes.length) });
  response.end(bytes);
}

export function say(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify(body));
}

/** The provider of a studio; `isIdempotent`: one that takes a task's id once. */
export function studioProvider({ isIdempotent = false } = {}): MediaProvider {
  return {
    name: 'studio',
    types: new Set(['image', 'image_edit', 'video', 'music'] as const),
    isIdempotent,
    start: (job, http) => start(job, http),
    poll: (ref, _job, http) => poll(ref, http),
    cancel: async (ref, _job, http) => {
      const answer = await http.request({ method: 'DELETE', to: `/jobs/${idOf(ref)}` });
      return answer.json()['said'] as 'cancelled' | 'too_late' | 'unsupported';
    },
  };
}

/** One that answers with the result itself. */
export function onceProvider(): MediaProvider {
  return {
    name: 'once',
    types: new Set(['image', 'image_edit'] as const),
    start: async (job, http) => {
      const started = await start(job, http);
      if (started.state !== 'started') return started;
      const assets: Asset[] = Array.from({ length: Number(job.fields['n'] ?? 1) }, () => ({
        bytes: png(),
        contentType: 'image/png',
      }));
      return { state: 'completed', assets, measured: { units: {} } };
    },
  };
}

async function start(job: MediaJob, http: MediaHttp): Promise<Started> {
  const json = { ...job.fields, task_id: job.taskId, model: job.upstreamModel };
  const answer = await http.request({ to: '/jobs', body: { json }, isSlow: true });
  if (answer.status === 422) {
    return { state: 'failed', failure: 'moderated', message: 'Not this.', isRetryable: false };
  }
  if (answer.status >= 400) {
    const isRetryable = answer.status === 409;
    return { state: 'failed', failure: 'refused', message: 'No.', isRetryable };
  }
  return { state: 'started', ref: { id: idOf(answer.json()) } };
}

async function poll(ref: Json, http: MediaHttp): Promise<Polled> {
  const answer = await http.request({ to: `/jobs/${idOf(ref)}` });
  if (answer.status === 404) return { state: 'gone' };
  const job = answer.json() as unknown as Job & { urls: string[] };
  switch (job.state) {
    case 'pending':
    case 'processing':
      return {
        state: job.state,
        ...(job.progress !== undefined && { progress: job.progress }),
        ...(job.queuePosition !== undefined && { queuePosition: job.queuePosition }),
      };
    case 'completed':
      return {
        state: 'completed',
        assets: job.urls.map((url) => ({ url })),
        measured: {
          units: job.units,
          ...(job.costUsd !== undefined && { upstreamCostUsd: job.costUsd }),
        },
      };
    case 'failed':
    case 'gone':
      return {
        state: 'failed',
        failure: job.failure?.failure ?? 'failed',
        message: 'It did not work.',
        isRetryable: job.failure?.isRetryable ?? false,
      };
  }
}

function idOf(ref: unknown): string {
  return (ref as { id: string }).id;
}
