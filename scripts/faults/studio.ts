/** An upstream that makes clips and a receiver of webhooks, in one server that is never killed and remembers all that it was asked. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** The beginning of an MP4, and something behind it. */
const CLIP = Buffer.concat([
  Buffer.from('\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41', 'latin1'),
  Buffer.alloc(30_000, 3),
]);

interface Job {
  looks: number;
  state: 'processing' | 'completed' | 'failed';
}

export class Studio {
  readonly #random: () => number;
  readonly #jobs: Job[] = [];
  readonly #server = createServer((request, response) => {
    this.#serve(request, response).catch(() => response.destroy());
  });
  /** How often each task was submitted. */
  readonly submits = new Map<string, number>();
  /** The ids of webhooks, by task. */
  readonly told = new Map<string, Set<string>>();
  readonly #last = new Map<string, string>();

  constructor(random: () => number) {
    this.#random = random;
  }

  async listen(): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return (this.#server.address() as AddressInfo).port;
  }

  /** What the last webhook of a task said of it. */
  lastTold(task: string): string | undefined {
    return this.#last.get(task);
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const [, room, name = ''] = (request.url ?? '').split('/');
    await new Promise((resolve) => setTimeout(resolve, 30 * this.#random()));
    if (room === 'clips') {
      response.end(CLIP);
    } else if (room === 'told') {
      this.#hear(request, body, response);
    } else if (request.method === 'POST') this.#submit(body, response);
    else this.#look(Number(name), request, response);
  }

  #submit(body: Buffer, response: ServerResponse): void {
    const { task_id: task } = JSON.parse(body.toString()) as { task_id: string };
    this.submits.set(task, (this.submits.get(task) ?? 0) + 1);
    const dice = this.#random();
    if (dice < 0.05) return say(response, 503, {});
    if (dice < 0.08) return say(response, 422, { error: { message: 'Not this.' } });
    this.#jobs.push({ looks: 0, state: 'processing' });
    say(response, 200, { id: String(this.#jobs.length - 1) });
  }

  #look(n: number, request: IncomingMessage, response: ServerResponse): void {
    const job = this.#jobs[n];
    if (!job) return say(response, 404, {});
    if (this.#random() < 0.05) return say(response, 500, {});
    job.looks += 1;
    if (job.looks >= 2 && job.state === 'processing') {
      job.state = this.#random() < 0.1 ? 'failed' : 'completed';
    }
    const clip = `http://${request.headers.host}/clips/${n}.mp4`;
    say(response, 200, { state: job.state, progress: 20 * job.looks, urls: [clip] });
  }

  #hear(request: IncomingMessage, body: Buffer, response: ServerResponse): void {
    const { data } = JSON.parse(body.toString()) as { data: { id: string; status: string } };
    const ids = this.told.get(data.id) ?? new Set();
    this.told.set(data.id, ids.add(String(request.headers['webhook-id'])));
    this.#last.set(data.id, data.status);
    say(response, this.#random() < 0.1 ? 500 : 200, {});
  }
}

function say(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}
