/**
 * The load generator, a process of its own: takes one job at a time over the channel it was started with, answers 'ready' when
 * connections stand and headers are signed, runs on 'go', and answers 'done' with what it saw.
 */
import { type Answer, type Connection, openConnection } from './connection.ts';
import { type FreshHeaders, signedHeaders } from './signer.ts';

export interface Job {
  port: number;
  path: string;
  body: string;
  connections: number;
  /** How long to send; 0 sends exactly one request a connection. */
  seconds: number;
  /** Extra header lines; connection n takes entry n modulo the length. */
  headers: string[];
  /** Signs a header of its own for every request instead, `count` of them. */
  fresh: FreshHeaders | null;
  /** What the last bytes of a good answer contain. */
  tailHas: string;
}

export interface JobResult {
  requests: number;
  errors: number;
  firstError: string | null;
  seconds: number;
  p50Us: number;
  p99Us: number;
  /** Fresh headers ran out before the time did. */
  ranOut: boolean;
}

type Send = (message: { type: 'ready' } | { type: 'done'; result: JobResult }) => void;

class Run {
  readonly #job: Job;
  readonly #send: Send;
  readonly #requests: string[];
  readonly #connections: Connection[] = [];
  readonly #latencies: number[] = [];
  #fresh: string[] = [];
  #next = 0;
  #open = 0;
  #running = 0;
  #errors = 0;
  #firstError: string | null = null;
  #startedAt = 0;
  #deadline = 0;
  #ranOut = false;

  constructor(job: Job, send: Send) {
    this.#job = job;
    this.#send = send;
    const lines = job.headers.length ? job.headers : [''];
    this.#requests = lines.map((line) => request(job, line));
  }

  async prepare(): Promise<void> {
    if (this.#job.fresh) this.#fresh = await signedHeaders(this.#job.fresh);
    for (let n = 0; n < this.#job.connections; n += 1) this.#connections.push(this.#connect(n));
  }

  go(): void {
    this.#startedAt = performance.now();
    this.#deadline = this.#startedAt + this.#job.seconds * 1_000;
    this.#running = this.#connections.length;
    for (let n = 0; n < this.#connections.length; n += 1) this.#request(n);
  }

  #connect(n: number): Connection {
    return openConnection(this.#job.port, {
      onOpen: () => {
        this.#open += 1;
        if (this.#open === this.#job.connections) this.#send({ type: 'ready' });
      },
      onAnswer: (answer) => this.#onAnswer(n, answer),
      onBroken: (error) => {
        this.#fail(error.message);
        this.#stop();
      },
    });
  }

  #request(n: number): void {
    const connection = this.#connections[n];
    if (!this.#job.fresh) {
      connection?.send(this.#requests[n % this.#requests.length] ?? '');
      return;
    }
    const header = this.#fresh[this.#next];
    this.#next += 1;
    if (header !== undefined) return connection?.send(request(this.#job, header));
    this.#ranOut = true;
    this.#stop();
  }

  #onAnswer(n: number, answer: Answer): void {
    this.#latencies.push(answer.elapsedMs);
    if (answer.status !== 200) this.#fail(answer.problem ?? `status ${answer.status}`);
    else if (!answer.tail.includes(this.#job.tailHas)) this.#fail(`unexpected end: ${answer.tail}`);
    if (performance.now() < this.#deadline) this.#request(n);
    else this.#stop();
  }

  #fail(message: string): void {
    this.#errors += 1;
    this.#firstError ??= message;
  }

  #stop(): void {
    this.#running -= 1;
    if (this.#running > 0) return;
    const seconds = (performance.now() - this.#startedAt) / 1_000;
    for (const connection of this.#connections) connection.close();
    const sorted = Float64Array.from(this.#latencies).sort();
    const at = (part: number) => (sorted[Math.floor(sorted.length * part)] ?? 0) * 1_000;
    this.#send({
      type: 'done',
      result: {
        requests: sorted.length,
        errors: this.#errors,
        firstError: this.#firstError,
        seconds,
        p50Us: at(0.5),
        p99Us: at(0.99),
        ranOut: this.#ranOut,
      },
    });
  }
}

function request(job: Job, line: string): string {
  const extra = line === '' ? '' : `${line}\r\n`;
  return (
    `POST ${job.path} HTTP/1.1\r\nHost: 127.0.0.1:${job.port}\r\nContent-Type: application/json\r\n` +
    `Content-Length: ${Buffer.byteLength(job.body)}\r\n${extra}\r\n${job.body}`
  );
}

let run: Run | null = null;
process.on('message', (message: { type: 'job'; job: Job } | { type: 'go' }) => {
  if (message.type === 'go') {
    run?.go();
    return;
  }
  run = new Run(message.job, (answer) => process.send?.(answer));
  run.prepare().catch((error: unknown) => {
    process.stderr.write(`${String(error)}\n`);
    process.exit(1);
  });
});
process.on('disconnect', () => process.exit(0));
