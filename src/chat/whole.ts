/** A JSON answer: read whole, charged, then passed on, so that its headers carry the final figures. */
import type { ChannelConfig } from '../config/config.ts';
import { AppError } from '../errors.ts';
import type { Resolution } from '../ledger/ledger.ts';
import { formatUsd } from '../money.ts';
import type { UpstreamRequest } from '../providers/provider.ts';
import type { Upstream, UpstreamHeaders, UpstreamSink } from '../upstream.ts';
import { refusedKey } from './byok.ts';
import { billOf } from './charge.ts';
import type { Headers } from './headers.ts';
import { answerHeaders, chargeOf, type Job, refusedBy, type Tools } from './job.ts';
import { headerCost } from '../providers/reported.ts';
import { errorInside, upstreamError } from './upstream-errors.ts';

/** Of an error's body, what is read for its message. */
const MAX_ERROR_BYTES = 65_536;

export interface WholeAnswer {
  status: number;
  headers: UpstreamHeaders;
  body: Buffer;
}

/**
 * A caller that leaves while the upstream works does not stop it: the answer is awaited within the channel's total time and
 * charged, because the upstream charges for it too.
 */
export async function runWhole(job: Job, tools: Tools): Promise<'good'> {
  const { call, route } = job;
  const request = job.provider.chat(route.own?.keyed ?? route.channel, job.request, {
    upstreamModel: route.upstreamModel,
    outputLimit: job.outputLimit,
  });
  const mayBegin = () => !call.signal.aborted;
  const answer = await askWhole(tools.upstream, route.channel, request, mayBegin);
  return passOn(job, tools, answer);
}

/** `mayBegin`: asked when its turn comes to be sent. Errors: as of an upstream call, client_closed. */
export function askWhole(
  upstream: Upstream,
  channel: ChannelConfig,
  request: UpstreamRequest,
  mayBegin: () => boolean,
): Promise<WholeAnswer> {
  return new Promise((resolve, reject) => {
    upstream.send(channel, request, new WholeSink(mayBegin, resolve, reject));
  });
}

/** Charges a whole answer and gives it to the caller, or throws what it stands for: then nothing is settled yet. */
export async function passOn(job: Job, tools: Tools, answer: WholeAnswer): Promise<'good'> {
  const refusal = refusalOf(job, tools, answer);
  if (refusal) throw refusal;
  const measured = job.provider.readChat(answer.body, job.route.channel);
  if (!measured) throw failed('The upstream sent no chat answer.');
  if (measured.outputBytes === 0 && measured.error !== null) {
    throw errorInside(measured, refusedBy(job, tools));
  }
  measured.upstreamCostUsd ??= headerCost(answer.headers, job.route.channel.reportedCost);
  const charge = chargeOf(job, tools, 'ended', measured);
  // What is not charged is not handed out.
  if (!charge) throw failed('The upstream sent no chat answer.');
  const said = job.provider.translate?.(answer.body, job.request) ?? answer.body;
  const body = withoutSecrets(said, job.secrets);
  const resolution = await job.settlement.finish(billOf(charge), (charged) => ({
    head: { status: 200, headers: headersOf(job, body, charged) },
    bytes: body,
  }));
  job.call.reply.head(200, headersOf(job, body, resolution));
  job.call.reply.end(body);
  return 'good';
}

function headersOf(job: Job, body: Buffer, resolution: Resolution | null): Headers {
  const headers = answerHeaders(job, 'application/json', resolution);
  if (resolution) headers['x-request-cost'] = formatUsd(resolution.charged);
  headers['content-length'] = String(body.length);
  return headers;
}

function refusalOf(job: Job, tools: Tools, answer: WholeAnswer): AppError | null {
  const { status, headers, body } = answer;
  if (status >= 200 && status < 300) return null;
  const level = status === 429 || (status >= 400 && status < 500) ? 'warn' : 'error';
  tools.log[level]('upstream_refused', {
    requestId: job.call.requestId,
    channel: job.route.channel.id,
    status,
  });
  const refused = refusedKey(job.route, status, body);
  return refused ?? upstreamError({ status, headers, body }, refusedBy(job, tools));
}

export function withoutSecrets(body: Buffer, secrets: string[]): Buffer {
  if (!secrets.some((secret) => body.includes(secret))) return body;
  let text = body.toString('latin1');
  for (const secret of secrets) text = text.replaceAll(secret, '[redacted]');
  return Buffer.from(text, 'latin1');
}

function failed(message: string): AppError {
  return new AppError('upstream_failed', message);
}

class WholeSink implements UpstreamSink {
  readonly #mayBegin: () => boolean;
  readonly #resolve: (answer: WholeAnswer) => void;
  readonly #reject: (error: AppError) => void;
  readonly #body = new WholeBody();

  constructor(
    mayBegin: () => boolean,
    resolve: (answer: WholeAnswer) => void,
    reject: (error: AppError) => void,
  ) {
    this.#mayBegin = mayBegin;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  begun(): boolean {
    return this.#mayBegin();
  }

  head(status: number, headers: UpstreamHeaders): void {
    this.#body.head(status, headers);
  }

  data(chunk: Buffer): void {
    this.#body.add(chunk);
  }

  end(): void {
    this.#resolve(this.#body.answer());
  }

  fail(error: AppError): void {
    this.#reject(error);
  }
}

/** Gathers a body; of an error's only the beginning. */
export class WholeBody {
  readonly #chunks: Buffer[] = [];
  #status = 0;
  #headers: UpstreamHeaders = {};
  #bytes = 0;

  head(status: number, headers: UpstreamHeaders): void {
    this.#status = status;
    this.#headers = headers;
  }

  add(chunk: Buffer): void {
    const isError = this.#status < 200 || this.#status >= 300;
    if (isError && this.#bytes + chunk.length > MAX_ERROR_BYTES) return;
    this.#bytes += chunk.length;
    this.#chunks.push(chunk);
  }

  answer(): WholeAnswer {
    const [first] = this.#chunks;
    const body =
      this.#chunks.length === 1 && first ? first : Buffer.concat(this.#chunks, this.#bytes);
    return { status: this.#status, headers: this.#headers, body };
  }
}
