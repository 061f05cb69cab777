/** POST /v1/messages/count_tokens: how much input a message is counted as, for nothing. */
import type { Chats } from '../../chat/chats.ts';
import { type Context, readBody, sendJson } from '../request.ts';
import { identify, type StepOptions } from '../steps.ts';

/** Whoever does not say who it is gets no more work done for nothing. */
const STRANGERS_BYTES = 256 * 1024;

export function countTokens(options: StepOptions & { chats: Chats }) {
  return async (ctx: Context): Promise<void> => {
    ctx.state.principal = await identify(options, ctx);
    const most = ctx.state.principal ? options.limits.bodyBytes : STRANGERS_BYTES;
    const body = await readBody(ctx.req, most);
    sendJson(ctx, 200, { input_tokens: options.chats.messages.inputTokens(body) });
  };
}
