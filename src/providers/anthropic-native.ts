/** /v1/messages of an Anthropic channel as it is: the caller's bytes pass but for a few splices, the answer's all of them. */
import type { ChannelConfig } from '../config/config.ts';
import { readMessage } from './anthropic-answer.ts';
import { AnthropicTally } from './anthropic-tally.ts';
import { anthropicWay } from './anthropic.ts';
import { spliceParams } from './channel-edits.ts';
import { brokenMessage, PING } from './messages-stream.ts';
import { ownSplices, setWhole } from './openai.ts';
import type {
  ChatEdits,
  ChatRequest,
  Measured,
  MeterLimits,
  Provider,
  StreamMeter,
  UpstreamRequest,
} from './provider.ts';
import { EventPass } from './sse-events.ts';

export const anthropicNative: Provider = {
  name: 'anthropic',
  chat,
  readChat: readMessage,
  meter: (_request, limits) => new MessagesMeter(limits),
};

function chat(channel: ChannelConfig, request: ChatRequest, edits: ChatEdits): UpstreamRequest {
  const splices = ownSplices(request, edits.upstreamModel);
  setWhole(splices, 'max_tokens', request, edits.outputLimit);
  spliceParams(splices, channel);
  return { ...anthropicWay(channel, request), body: splices.apply() };
}

class MessagesMeter implements StreamMeter {
  readonly keepAlive = PING;
  readonly broken = brokenMessage;
  readonly #pass: EventPass;
  readonly #tally = new AnthropicTally();

  constructor(limits: MeterLimits) {
    this.#pass = new EventPass(limits, (_name, data) => this.#tally.read(data));
  }

  push(chunk: Buffer): Buffer[] {
    return this.#pass.push(chunk);
  }

  end(): { rest: Buffer[]; done: Buffer | null } {
    const rest = this.#pass.end((data) => this.#tally.isEvent(data));
    return { rest, done: this.#pass.done };
  }

  isDone(): boolean {
    return this.#pass.done !== null;
  }

  measured(): Measured {
    return this.#tally.measured();
  }
}
