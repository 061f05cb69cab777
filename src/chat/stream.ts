/**
 * A streamed answer: passed on as it comes, metered as it passes, and settled exactly once, whichever of its ends comes first:
 * the upstream's last line, its end, its failure, or the caller's leaving.
 */
import { AppError } from '../errors.ts';
import type { Resolution } from '../ledger/ledger.ts';
import type { Measured, StreamMeter } from '../providers/provider.ts';
import type { Outcome } from '../routing/breaker.ts';
import type { UpstreamCall, UpstreamHeaders, UpstreamSink } from '../upstream.ts';
import { billOf, type Ending } from './charge.ts';
import { finalComment } from './headers.ts';
import { answerHeaders, chargeOf, type Job, refusedBy, type Tools } from './job.ts';
import { errorEvent } from './stream-error.ts';
import { errorInside } from './upstream-errors.ts';
import { headerCost } from '../providers/reported.ts';
import { passOn, WholeBody } from './whole.ts';

const KEEP_ALIVE = Buffer.from(': keep-alive\n\n');

/** Rejects only while the caller has nothing of an answer; then nothing is settled yet. */
export function runStream(job: Job, tools: Tools): Promise<Outcome | 'unknown'> {
  return new Promise((resolve, reject) => {
    new StreamRun(job, tools, resolve, reject).start();
  });
}

class StreamRun implements UpstreamSink {
  readonly #job: Job;
  readonly #tools: Tools;
  readonly #resolve: (outcome: Outcome | 'unknown') => void;
  readonly #reject: (error: unknown) => void;
  readonly #meter: StreamMeter;
  readonly #onLeave = () => this.#leave();
  readonly #flush = () => this.#writePending();
  #pending: Buffer[] = [];
  #upstream: UpstreamCall | null = null;
  /** Set where the upstream did not answer with an event stream. */
  #whole: WholeBody | null = null;
  /** As a header says. */
  #costUsd: string | null = null;
  #hasBegun = false;
  #hasHead = false;
  #isGone = false;
  #isFinished = false;
  #stalled: NodeJS.Timeout | null = null;
  #keepAlive: NodeJS.Timeout | null = null;

  constructor(
    job: Job,
    tools: Tools,
    resolve: (outcome: Outcome | 'unknown') => void,
    reject: (error: unknown) => void,
  ) {
    this.#job = job;
    this.#tools = tools;
    this.#resolve = resolve;
    this.#reject = reject;
    const { sseLineBytes } = tools.limits;
    const { reportedCost } = job.route.channel;
    const { secrets } = job;
    this.#meter = job.provider.meter(job.request, { sseLineBytes, secrets, reportedCost });
  }

  start(): void {
    const { call, provider, request, route, outputLimit } = this.#job;
    call.signal.addEventListener('abort', this.#onLeave, { once: true });
    this.#startKeepAlive();
    try {
      const edits = { upstreamModel: route.upstreamModel, outputLimit };
      const message = provider.chat(route.own?.keyed ?? route.channel, request, edits);
      this.#upstream = this.#tools.upstream.send(route.channel, message, this);
    } catch (error) {
      this.#end('broken', asAppError(error));
    }
  }

  /** Proxies and clients give up on a silent connection; from the first comment on, the answer has begun. */
  #startKeepAlive(): void {
    const { sseKeepAliveMs } = this.#tools.limits;
    if (sseKeepAliveMs === 0) return;
    this.#keepAlive = setInterval(() => {
      if (this.#isGone || this.#whole || !this.#hasBegun) return;
      this.#sendHead();
      this.#job.call.reply.write(this.#meter.keepAlive ?? KEEP_ALIVE);
    }, sseKeepAliveMs);
  }

  #stopKeepAlive(): void {
    if (this.#keepAlive) clearInterval(this.#keepAlive);
    this.#keepAlive = null;
  }

  begun(): boolean {
    if (this.#job.call.signal.aborted) return false;
    this.#hasBegun = true;
    return true;
  }

  head(status: number, headers: UpstreamHeaders): void {
    const type = String(headers['content-type'] ?? '').toLowerCase();
    if (status === 200 && type.startsWith('text/event-stream')) {
      this.#costUsd = headerCost(headers, this.#job.route.channel.reportedCost);
      return;
    }
    if (this.#hasHead) {
      // A status can no longer say what this one says.
      const error = new AppError('upstream_failed', 'The upstream failed to answer.');
      this.#end('broken', error);
      this.#upstream?.abort(error);
      return;
    }
    this.#whole = new WholeBody();
    this.#whole.head(status, headers);
  }

  data(chunk: Buffer): void {
    if (this.#whole) {
      this.#whole.add(chunk);
      return;
    }
    if (this.#isFinished) return;
    const pieces = this.#meter.push(chunk);
    if (!this.#hasHead && this.#isRefused()) {
      this.#end('broken', null);
      this.#upstream?.abort(new AppError('upstream_failed', 'The upstream sent an error.'));
      return;
    }
    if (!this.#pending.length && pieces.length) queueMicrotask(this.#flush);
    this.#pending.push(...pieces);
    if (this.#meter.isDone()) this.#end('ended', null);
  }

  /** An error before any output can still be answered with a status that says so. */
  #isRefused(): boolean {
    const { error, outputBytes } = this.#meter.measured();
    return error !== null && outputBytes === 0;
  }

  end(): void {
    if (this.#whole) this.#endWhole(this.#whole);
    else this.#end('ended', null);
  }

  fail(error: AppError): void {
    const hasLeft = this.#hasBegun && this.#isGone && error.code === 'client_closed';
    this.#end(hasLeft ? 'left' : 'broken', error);
  }

  #leave(): void {
    // An answer that is kept is kept whole.
    if (this.#isFinished || (this.#hasBegun && this.#job.call.keep)) return;
    this.#isGone = true;
    this.#stopWaiting();
    const { onDisconnect } = this.#job.route.channel;
    // Reading on: some channels charge for the whole answer anyway.
    if (this.#hasBegun && (this.#whole || onDisconnect === 'drain')) this.#upstream?.resume();
    else this.#upstream?.abort(new AppError('client_closed', 'The caller left.'));
  }

  #sendHead(): void {
    if (this.#hasHead) return;
    this.#hasHead = true;
    const { hold } = this.#job.settlement;
    const headers = answerHeaders(this.#job, 'text/event-stream; charset=utf-8', hold);
    headers['x-accel-buffering'] = 'no';
    this.#job.call.reply.head(200, headers);
  }

  /** What came out of one read of the upstream's socket leaves in one write: a write costs more than all the rest. */
  #writePending(): void {
    const [first, ...others] = this.#pending;
    if (!first) return;
    this.#pending = [];
    this.#stopKeepAlive();
    if (this.#isGone) return;
    this.#sendHead();
    const piece = others.length ? Buffer.concat([first, ...others]) : first;
    if (!this.#job.call.reply.write(piece)) this.#waitForReader();
  }

  /** The upstream is paused while the caller does not read, and the caller is given up after the channel's idle time. */
  #waitForReader(): void {
    if (this.#stalled || this.#isFinished) return;
    this.#upstream?.pause();
    const { idleMs } = this.#job.route.channel.timeout;
    // Whoever reads on later must not take what it has for the whole.
    this.#stalled = setTimeout(() => {
      this.#leave();
      this.#job.call.reply.destroy();
    }, idleMs);
    const resume = () => {
      if (!this.#stalled) return;
      this.#stopWaiting();
      this.#upstream?.resume();
    };
    this.#job.call.reply.drained().then(resume, resume);
  }

  #stopWaiting(): void {
    if (this.#stalled) clearTimeout(this.#stalled);
    this.#stalled = null;
  }

  #endWhole(whole: WholeBody): void {
    if (!this.#close()) return;
    passOn(this.#job, this.#tools, whole.answer()).then(this.#resolve, this.#reject);
  }

  #end(ending: Ending, failure: AppError | null): void {
    if (this.#close()) this.#finish(ending, failure).then(this.#resolve, this.#reject);
  }

  /** False for all but the first. */
  #close(): boolean {
    if (this.#isFinished) return false;
    this.#isFinished = true;
    this.#stopWaiting();
    this.#stopKeepAlive();
    this.#job.call.signal.removeEventListener('abort', this.#onLeave);
    return true;
  }

  async #finish(ending: Ending, failure: AppError | null): Promise<Outcome | 'unknown'> {
    const { rest, done } = this.#meter.end();
    const measured = this.#meter.measured();
    measured.upstreamCostUsd ??= this.#costUsd;
    const charge = chargeOf(this.#job, this.#tools, ending, measured);
    this.#pending.push(...rest);
    const isRefused = charge === null && !this.#hasHead;
    if (isRefused) this.#pending = [];
    else this.#writePending();
    if (isRefused) throw failure ?? errorInside(measured, refusedBy(this.#job, this.#tools));
    if (charge && this.#job.call.keep) this.#sendHead();
    const goodbye = (resolution: Resolution | null) =>
      this.#goodbye(measured, failure, resolution, done);
    const resolution = await this.#job.settlement.finish(charge && billOf(charge), (charged) => ({
      head: null,
      bytes: goodbye(charged),
    }));
    if (!this.#isGone) this.#sendHead();
    this.#job.call.reply.end(this.#isGone ? undefined : goodbye(resolution));
    if (this.#isGone) return 'unknown';
    return measured.isComplete && measured.error === null ? 'good' : 'sick';
  }

  #goodbye(
    measured: Measured,
    failure: AppError | null,
    resolution: Resolution | null,
    done: Buffer | null,
  ): Buffer {
    const last: Buffer[] = [];
    if (!measured.isComplete && measured.error === null) {
      last.push(errorEvent(this.#meter, this.#job.call.dialect, failure));
    }
    if (resolution) last.push(finalComment(resolution));
    if (done) last.push(done);
    return Buffer.concat(last);
  }
}

function asAppError(error: unknown): AppError {
  if (error instanceof AppError) return error;
  return new AppError('internal', 'The request could not be sent.', { cause: error });
}
