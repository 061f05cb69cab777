/** Speech and transcriptions in both dialects: bytes one way, text the other. */
import type { AudioRequest } from '../audio/call.ts';
import type { AudioPath } from '../audio/path.ts';
import type { AudioPaths } from '../audio/paths.ts';
import { AppError } from '../errors.ts';
import { boundaryOf, canonicalForm, readForm } from '../multipart.ts';
import { maxCredits, quoteId, replyOver } from './chat-route.ts';
import { recordingReply } from './idempotent.ts';
import type { Step } from './in-turn.ts';
import { admitted } from './limits.ts';
import { minimumOf, type Offer, payable } from './payable.ts';
import { type Context, goneSignal } from './request.ts';
import type { StepOptions } from './steps.ts';

export interface AudioOptions extends StepOptions {
  audio: AudioPaths;
}

/** What sells sound: two steps each, who pays and what is done. */
export function audioShops(options: AudioOptions): [path: string, paid: Step, run: Step][] {
  const { speech, transcriptions, linkTranscriptions } = options.audio;
  const speechSteps = shop(speech, options);
  const transcriptionSteps = shop(transcriptions, options);
  return [
    ['/v1/audio/speech', ...speechSteps],
    ['/api/v1/audio/speech', ...speechSteps],
    ['/v1/audio/transcriptions', ...transcriptionSteps],
    ['/api/v1/audio/transcriptions', ...transcriptionSteps],
    ['/api/v1/video/transcriptions', ...shop(linkTranscriptions, options)],
  ];
}

function shop<Request extends AudioRequest>(
  path: AudioPath<Request>,
  options: AudioOptions,
): [paid: Step, run: Step] {
  return [payable(options, offer(path)), route(path, options)];
}

function offer<Request extends AudioRequest>(path: AudioPath<Request>): Offer {
  return {
    description: path.kind.description,
    price: (body, wholeBytes) => path.price(body, wholeBytes),
    check: (ctx) => path.check(ctx.state.body, termsOf(ctx)),
    takesForms: true,
    sameness,
  };
}

/** A form draws a new boundary each time that it is sent. */
function sameness({ req, state }: Context): Buffer {
  const boundary = boundaryOf(req.headers['content-type']);
  return boundary === null ? state.body : canonicalForm(readForm(state.body, boundary));
}

function route<Request extends AudioRequest>(path: AudioPath<Request>, options: AudioOptions) {
  return async (ctx: Context): Promise<void> => {
    const { principal, requestId, body, keep } = ctx.state;
    if (!principal) throw new AppError('internal', 'a request for sound without anybody who pays');
    const reply = replyOver(ctx);
    await path.run({
      principal,
      requestId,
      body,
      ...termsOf(ctx),
      minimumAvailable: minimumOf(ctx, options.config),
      admit: admitted(ctx, options),
      signal: goneSignal(ctx.res),
      reply: keep ? recordingReply(reply, keep, ctx) : reply,
      keep,
    });
  };
}

function termsOf(ctx: Context) {
  return {
    contentType: ctx.req.headers['content-type'] ?? null,
    maxCredits: maxCredits(ctx),
    quoteId: quoteId(ctx),
  };
}
