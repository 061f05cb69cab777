/**
 * What the sandbox's upstream makes besides chats: pictures, clips and sound, as jobs that take a while. `demo_delay_ms` and `demo_outcome`
 * in a request (completed, failed, moderated, expired) say how one of them goes; the others go as the server was started with.
 */
import type { ServerResponse } from 'node:http';
import { type DemoAsked, demoFile, readAsked } from './demo/file.ts';
import { newId } from './ids.ts';

export interface DemoMediaOptions {
  /** How long a job takes; 1.5 s by default. */
  delayMs?: number;
  /** 0 to 1: so many of the jobs fail. */
  failureRate?: number;
  nowMs?(): number;
}

type Fields = Record<string, unknown>;

interface Job {
  id: string;
  asked: DemoAsked;
  endsAt: number;
  delayMs: number;
  outcome: string;
  isCancelled: boolean;
}

const DELAY_MS = 1_500;
const MAX_DELAY_MS = 3_600_000;
/** The oldest are forgotten. */
const MAX_JOBS = 10_000;
const OUTCOMES = ['completed', 'failed', 'moderated', 'expired'];

export class DemoMedia {
  readonly #jobs = new Map<string, Job>();
  readonly #byKey = new Map<string, string>();
  readonly #options: Required<DemoMediaOptions>;

  constructor({ delayMs = DELAY_MS, failureRate = 0, nowMs = Date.now }: DemoMediaOptions = {}) {
    this.#options = { delayMs, failureRate, nowMs };
  }

  /** Whether it was for here; then it is answered. `path` is that behind the server's own. */
  answer(
    request: { method: string; path: string; base: string; key: string | undefined; asked: Fields },
    response: ServerResponse,
  ): boolean {
    const { method, path, base } = request;
    const [, kind, id = '', place] =
      /^\/media\/(jobs|files)(?:\/(\w+))?(?:\/(\d+))?$/.exec(path) ?? [];
    if (kind === undefined) return false;
    if (kind === 'jobs' && method === 'POST') send(response, this.#create(request), base);
    else {
      const job = this.#jobs.get(id);
      if (!job) send(response, null, base);
      else if (kind === 'files') sendFile(response, job, Number(place));
      else if (method === 'DELETE') send(response, this.#cancel(job), base);
      else send(response, this.#told(job), base);
    }
    return true;
  }

  /** The same key: the same job. */
  #create({ key, asked }: { key: string | undefined; asked: Fields }): Fields {
    const known = key === undefined ? undefined : this.#jobs.get(this.#byKey.get(key) ?? '');
    if (known) return this.#told(known);
    const { delayMs: usual, failureRate, nowMs } = this.#options;
    const { demo_delay_ms: delay, demo_outcome: said } = asked;
    const delayMs = typeof delay === 'number' ? Math.min(MAX_DELAY_MS, Math.max(0, delay)) : usual;
    const chance = Math.random() < failureRate ? 'failed' : 'completed';
    const job: Job = {
      id: newId('job'),
      asked: readAsked(asked),
      endsAt: nowMs() + delayMs,
      delayMs,
      outcome: OUTCOMES.find((outcome) => outcome === said) ?? chance,
      isCancelled: false,
    };
    this.#jobs.set(job.id, job);
    if (key !== undefined) this.#byKey.set(key, job.id);
    forgetOldest(this.#jobs);
    forgetOldest(this.#byKey);
    return this.#told(job);
  }

  #cancel(job: Job): Fields {
    if (this.#options.nowMs() < job.endsAt) job.isCancelled = true;
    return this.#told(job);
  }

  #told({ id, asked, endsAt, delayMs, outcome, isCancelled }: Job): Fields {
    const left = endsAt - this.#options.nowMs();
    if (isCancelled) return { id, status: 'cancelled' };
    if (left > 0) {
      const progress = Math.floor(100 * (1 - left / delayMs));
      return { id, status: progress === 0 ? 'queued' : 'running', progress };
    }
    if (outcome !== 'completed') {
      const why = outcome === 'moderated' ? 'The prompt was moderated' : `The job ${outcome}`;
      return { id, status: outcome, error: { message: `${why}, as it was asked to.` } };
    }
    return {
      id,
      status: 'completed',
      files: Array.from({ length: asked.n }, (_, n) => `/media/files/${id}/${n}`),
      ...(asked.seconds !== null && { seconds: asked.seconds }),
    };
  }
}

function send(response: ServerResponse, told: Fields | null, base: string): void {
  response.writeHead(told ? 200 : 404, { 'content-type': 'application/json' });
  const files = told?.['files'] as string[] | undefined;
  const whole = files ? { ...told, files: files.map((path) => `${base}${path}`) } : told;
  response.end(JSON.stringify(whole ?? { error: { message: 'There is no such job.' } }));
}

function sendFile(response: ServerResponse, { asked }: Job, place: number): void {
  if (place >= asked.n) return void response.writeHead(404).end();
  const { bytes, contentType } = demoFile(asked, place);
  response.writeHead(200, { 'content-type': contentType, 'content-length': bytes.length });
  response.end(bytes);
}

function forgetOldest(map: Map<string, unknown>): void {
  while (map.size > MAX_JOBS) map.delete(map.keys().next().value!);
}
