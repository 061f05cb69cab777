/**
 * Sound as it comes from the upstream, charged once: its text's price when it ended whole, or when its caller left in the middle of it;
 * nothing when the upstream broke, for part of a recording is none (docs/decisions.md).
 */
import { WholeBody } from '../chat/whole.ts';
import { AppError } from '../errors.ts';
import { formatUsd } from '../money.ts';
import { findVoice, type VoiceProvider } from '../providers/audio.ts';
import { headerCost } from '../providers/reported.ts';
import type { Outcome } from '../routing/breaker.ts';
import type { UpstreamCall, UpstreamHeaders, UpstreamSink } from '../upstream.ts';
import { audioHeaders, billFor } from './bill.ts';
import type { AudioJob, AudioTools } from './path.ts';
import { asAppError, failed, mediaType, refusalOf } from './refusal.ts';
import type { Spoken } from './speech.ts';

type Job = AudioJob<Spoken>;
type Ending = 'whole' | 'broken' | 'left';

const EVENTS = 'text/event-stream';
/** The last event of a stream of sound in pieces, and how much of the end it is looked for in. */
const LAST_EVENT = 'speech.audio.done';
const TAIL_BYTES = 4_096;
const TYPES: Record<string, string> = {
  mp3: 'audio/mpeg',
  opus: 'audio/opus',
  aac: 'audio/aac',
  flac: 'audio/flac',
  wav: 'audio/wav',
  pcm: 'audio/pcm',
};

/** Rejects only while the caller has nothing of an answer; then nothing is settled yet. */
export function runSpeech(job: Job, tools: AudioTools): Promise<Outcome | 'unknown'> {
  return new Promise((resolve, reject) => {
    new SpeechRun(job, tools, resolve, reject).start();
  });
}

class SpeechRun implements UpstreamSink {
  readonly #job: Job;
  readonly #tools: AudioTools;
  readonly #resolve: (outcome: Outcome | 'unknown') => void;
  readonly #reject: (error: unknown) => void;
  readonly #onLeave = () => this.#leave();
  #provider: VoiceProvider | null = null;
  #upstream: UpstreamCall | null = null;
  /** Set where the upstream did not answer with sound. */
  #whole: WholeBody | null = null;
  #type = '';
  #costUsd: string | null = null;
  #bytes = 0;
  #tail: Buffer = Buffer.alloc(0);
  #hasBegun = false;
  #isGone = false;
  #isOver = false;
  #hasStalled = false;
  #stalled: NodeJS.Timeout | null = null;

  constructor(
    job: Job,
    tools: AudioTools,
    resolve: (outcome: Outcome | 'unknown') => void,
    reject: (error: unknown) => void,
  ) {
    this.#job = job;
    this.#tools = tools;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  start(): void {
    const { call, request, route } = this.#job;
    call.signal.addEventListener('abort', this.#onLeave, { once: true });
    try {
      this.#provider = findVoice(route.channel.provider);
      const { body, members, fields, model } = request;
      const spoken = { body, members, fields, model: model ?? '' };
      const way = route.own?.keyed ?? route.channel;
      const message = this.#provider.speech(way, spoken, route.upstreamModel);
      this.#upstream = this.#tools.upstream.send(route.channel, message, this);
    } catch (error) {
      this.fail(asAppError(error));
    }
  }

  begun(): boolean {
    if (this.#job.call.signal.aborted) return false;
    this.#hasBegun = true;
    return true;
  }

  head(status: number, headers: UpstreamHeaders): void {
    const type = mediaType(headers['content-type']);
    const isSound = type.startsWith('audio/') || type === 'application/octet-stream' || type === '';
    if (status === 200 && (isSound || type === EVENTS)) {
      const { response_format: format } = this.#job.request.fields;
      const usual =
        TYPES[typeof format === 'string' ? format : 'mp3'] ?? 'application/octet-stream';
      this.#type = type.startsWith('audio/') || type === EVENTS ? type : usual;
      this.#costUsd = headerCost(headers, this.#job.route.channel.reportedCost);
      return;
    }
    this.#whole = new WholeBody();
    this.#whole.head(status, headers);
  }

  data(chunk: Buffer): void {
    if (this.#whole) return this.#whole.add(chunk);
    if (this.#isOver) return;
    const { reply } = this.#job.call;
    const isFirst = this.#bytes === 0;
    this.#bytes += chunk.length;
    if (this.#type === EVENTS) {
      this.#tail = Buffer.concat([this.#tail, chunk]).subarray(-TAIL_BYTES);
    }
    if (this.#isGone) return;
    if (isFirst) reply.head(200, this.#headers());
    if (!reply.write(chunk)) this.#waitForReader();
  }

  #headers(): Record<string, string> {
    const { plan, settlement } = this.#job;
    const headers = audioHeaders(this.#job, this.#type, settlement.hold);
    // Known before the sound is: it costs what its text does.
    if (!plan.entry.price.upstream) headers['x-request-cost'] = formatUsd(settlement.hold.amount);
    return headers;
  }

  end(): void {
    if (this.#whole) {
      const answer = this.#whole.answer();
      const isOk = answer.status >= 200 && answer.status < 300;
      const busy = (body: Buffer) => this.#provider?.busySeconds?.(body) ?? NaN;
      const refusal = isOk ? null : refusalOf(this.#job, this.#tools, answer, busy);
      return this.#refuse(refusal ?? failed('The upstream sent no sound.'));
    }
    if (this.#bytes === 0) return this.#refuse(failed('The upstream sent no sound.'));
    const isWhole = this.#type !== EVENTS || this.#tail.includes(LAST_EVENT);
    this.#finish(isWhole ? 'whole' : 'broken');
  }

  fail(error: AppError): void {
    if (this.#bytes === 0) return this.#refuse(error);
    // A caller that reads too slowly breaks the connection as well as one that leaves.
    const isLate = error.code === 'upstream_timeout' && this.#hasStalled;
    const isCallers = error.code === 'client_closed' || this.#stalled !== null || isLate;
    this.#finish(isCallers ? 'left' : 'broken');
  }

  #leave(): void {
    // An answer that is kept is kept whole.
    if (this.#isOver || (this.#hasBegun && this.#job.call.keep)) return;
    this.#isGone = true;
    this.#stopWaiting();
    // Before the first byte the upstream works all the same: whether there is something to charge for is seen at its end.
    const isDrained = this.#hasBegun && this.#bytes === 0;
    if (isDrained || this.#job.route.channel.onDisconnect === 'drain') this.#upstream?.resume();
    else this.#upstream?.abort(new AppError('client_closed', 'The caller left.'));
  }

  /** The upstream is paused while the caller does not read, and the caller is given up after the channel's idle time. */
  #waitForReader(): void {
    if (this.#stalled || this.#isOver) return;
    this.#hasStalled = true;
    this.#upstream?.pause();
    const { reply } = this.#job.call;
    this.#stalled = setTimeout(() => {
      this.#leave();
      reply.destroy();
    }, this.#job.route.channel.timeout.idleMs);
    const resume = () => {
      if (!this.#stalled) return;
      this.#stopWaiting();
      this.#upstream?.resume();
    };
    reply.drained().then(resume, resume);
  }

  #stopWaiting(): void {
    if (this.#stalled) clearTimeout(this.#stalled);
    this.#stalled = null;
  }

  /** False for all but the first. */
  #close(): boolean {
    if (this.#isOver) return false;
    this.#isOver = true;
    this.#stopWaiting();
    this.#job.call.signal.removeEventListener('abort', this.#onLeave);
    return true;
  }

  #refuse(error: AppError): void {
    if (this.#close()) this.#reject(error);
  }

  #finish(ending: Ending): void {
    if (this.#close()) this.#settle(ending).then(this.#resolve, this.#reject);
  }

  async #settle(ending: Ending): Promise<Outcome | 'unknown'> {
    const { call, settlement } = this.#job;
    if (ending === 'broken') {
      await settlement.finish(null);
      // Nobody may take what was sent for the whole.
      call.reply.destroy();
      return this.#isGone ? 'unknown' : 'sick';
    }
    const measured = {
      units: {},
      ...(this.#costUsd !== null && { upstreamCostUsd: this.#costUsd }),
    };
    const bill = billFor(this.#job, this.#tools, measured, { isEstimated: false });
    await settlement.finish(bill, () => ({ head: null, bytes: Buffer.alloc(0) }));
    if (ending === 'left') {
      call.reply.destroy();
      return 'unknown';
    }
    if (!this.#isGone) call.reply.end();
    return 'good';
  }
}
